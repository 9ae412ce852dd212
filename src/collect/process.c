/*
 * process.c
 *	  The server's own processes by backend type, from /proc/PID.
 *
 * Who they are comes from shared memory, so other processes of the machine cost nothing.  CPU time is
 * read of every process in each cycle; what costs more (memory, I/O, descriptors) of some in turn, and
 * the others count with what they had when it was last their turn.
 *
 * A process that began after the cycle before counts from its beginning.  What a process used between
 * the last look at it and its end is known only for all ended ones together, from what the postmaster
 * took notice of; it has the backend type "ended".
 */
#include "postgres.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/pidfs.h"
#include "collect/readfile.h"
#include "compat.h"

#define APP "application"

#define MAX_TYPES 48
#define TYPE_BYTES 64

/* Processes whose memory, I/O and descriptors are read in a cycle. */
#define DETAILS_A_CYCLE 16

enum
{
	PROCESSES,
	CPU,
	RESIDENT,
	ANON,
	READ_BYTES,
	WRITE_BYTES,
	OPEN_FDS
};

const PerfoptMetric perfopt_process_metrics[] = {
	[PROCESSES] = { "pg_processes", APP, PERFOPT_GAUGE, "processes",
					"Processes of the server by backend type" },
	[CPU] = { "pg_process_cpu_seconds_total", APP, PERFOPT_COUNTER, "seconds",
			  "CPU time of the server's processes; \"ended\" is what processes used between the "
			  "last look at them and their end" },
	[RESIDENT] = { "pg_process_resident_bytes", APP, PERFOPT_GAUGE, "bytes",
				   "Memory of the processes, summed; shared memory that several use counts for "
				   "each" },
	[ANON] = { "pg_process_anon_bytes", APP, PERFOPT_GAUGE, "bytes",
			   "Memory of the processes that is neither shared nor backed by a file" },
	[READ_BYTES] = { "pg_process_read_bytes_total", APP, PERFOPT_COUNTER, "bytes",
					 "Bytes that the processes had read from storage" },
	[WRITE_BYTES] = { "pg_process_write_bytes_total", APP, PERFOPT_COUNTER, "bytes",
					  "Bytes that the processes caused to be written to storage" },
	[OPEN_FDS] = { "pg_process_open_fds", APP, PERFOPT_GAUGE, "files",
				   "File descriptors that the processes have open (Linux 6.2 and later)" },
};
const int perfopt_process_nmetrics = lengthof(perfopt_process_metrics);

/* The process in one place of the server's process array. */
typedef struct Process
{
	int pid;  /* 0 none */
	int type; /* position in types, -1 not known yet */
	bool old; /* was there at the first look, so what it had used by then does not count */
	bool detailed;
	bool has_fds;
	int schedstat; /* descriptor, kept because opening takes three times as long as reading; or 0 */
	double cpu;
	double resident;
	double anon;
	double read;
	double written;
	double fds;
} Process;

typedef struct Type
{
	char name[TYPE_BYTES];
	int processes;
	bool has_fds;
	double cpu;
	double resident;
	double anon;
	double read;
	double written;
	double fds;
} Type;

/* Names and places live as long as the collector, the sums of a type for one cycle. */
static Type types[MAX_TYPES];
static int ntypes = 0;
static Process *processes = NULL; /* the last place is the postmaster's */
static bool looked_before = false;

/* Types beyond the last place, which a server with many extensions may have, share that. */
static int
type_of_name(const char *name)
{
	for (int i = 0; i < ntypes; i++)
		if (strncmp(types[i].name, name, TYPE_BYTES - 1) == 0)
			return i;
	if (ntypes == MAX_TYPES - 1)
		name = "other";
	if (ntypes < MAX_TYPES)
		strlcpy(types[ntypes++].name, name, TYPE_BYTES);
	return ntypes - 1;
}

/* As pg_stat_activity has it; workers without a database are not there. */
static void
find_type(Process *process, bool *fetched)
{
	const char *name = GetBackgroundWorkerTypeByPid(process->pid);

	/* Copied once a cycle at most, and only when somebody is new. */
	if (name == NULL && !*fetched)
	{
		pgstat_clear_backend_activity_snapshot();
		*fetched = true;
	}
	for (int i = 1; name == NULL && i <= pgstat_fetch_stat_numbackends(); i++)
	{
		const PgBackendStatus *status = perfopt_backend_status(i);

		if (status != NULL && status->st_procpid == process->pid)
			name = GetBackendTypeDesc(status->st_backendType);
	}
	process->type = name == NULL ? -1 : type_of_name(name);
}

static char *
read_of_pid(int pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return perfopt_read_file(path);
}

static void
keep_schedstat(Process *process)
{
	char path[64];
	int fd;

	/* With more processes than descriptors that this process may have, the rest is opened each time. */
	if (!AcquireExternalFD())
		return;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", process->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ReleaseExternalFD();
	else
		process->schedstat = fd;
}

static void
forget(Process *process)
{
	if (process->schedstat != 0)
	{
		close(process->schedstat);
		ReleaseExternalFD();
	}
	memset(process, 0, sizeof(*process));
}

static bool
read_cpu(Process *process, double *cpu)
{
	const char *text;
	double ended;

	if (process->schedstat == 0)
		keep_schedstat(process);
	if (process->schedstat != 0)
	{
		char buffer[128];
		ssize_t n = pread(process->schedstat, buffer, sizeof(buffer) - 1, 0);

		buffer[Max(n, 0)] = '\0';
		return perfopt_pidfs_schedstat(buffer, cpu);
	}

	/* Kernels without CONFIG_SCHED_INFO have only stat. */
	text = read_of_pid(process->pid, "schedstat");
	if (text != NULL && perfopt_pidfs_schedstat(text, cpu))
		return true;
	text = read_of_pid(process->pid, "stat");
	return text != NULL && perfopt_pidfs_stat(text, (double) sysconf(_SC_CLK_TCK), cpu, &ended);
}

/* Since 6.2 the size of the directory is how many it has; counting them would cost too much. */
static void
read_fds(Process *process)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	process->has_fds = stat(path, &st) == 0 && st.st_size > 0;
	process->fds = process->has_fds ? (double) st.st_size : 0;
}

static void
read_details(Process *process, Type *type)
{
	const char *text = read_of_pid(process->pid, "statm");
	double in;
	double out;

	if (text != NULL)
		(void) perfopt_pidfs_statm(text, (double) sysconf(_SC_PAGESIZE), &process->resident,
								   &process->anon);
	text = read_of_pid(process->pid, "io");
	if (text != NULL && perfopt_pidfs_io(text, &in, &out))
	{
		if (process->detailed || !process->old)
		{
			type->read += Max(in - process->read, 0);
			type->written += Max(out - process->written, 0);
		}
		process->read = in;
		process->written = out;
	}
	read_fds(process);
	process->detailed = true;
}

/*
 * Looks at the process in a place.  What one that left had used, as far as it is known, is added to
 * `left`.
 */
static void
look_at(Process *process, int pid, bool *fetched, double *left)
{
	double cpu;

	if (process->pid != pid)
	{
		*left += process->cpu;
		forget(process);
		process->pid = pid;
		process->type = -1;
		process->old = !looked_before;
		if (pid != 0 && process->old)
			(void) read_cpu(process, &process->cpu);
	}
	if (pid == 0)
		return;
	if (process->type < 0 && pid == PostmasterPid)
		process->type = type_of_name("postmaster");
	else if (process->type < 0)
		find_type(process, fetched);

	/* One that just begins gets its type, and counts with all it used, in a later cycle. */
	if (process->type < 0 || !read_cpu(process, &cpu))
		return;
	types[process->type].processes++;
	types[process->type].cpu += Max(cpu - process->cpu, 0);
	process->cpu = cpu;
}

/* The processes whose turn it is, new ones first. */
static void
read_details_in_turn(int nplaces)
{
	static int next = 0;
	int left = DETAILS_A_CYCLE;

	for (int i = 0; i < nplaces && left > 0; i++)
	{
		Process *process = &processes[i];

		if (process->pid == 0 || process->type < 0 || process->detailed)
			continue;
		read_details(process, &types[process->type]);
		left--;
	}
	for (int i = 0; i < nplaces && left > 0; i++)
	{
		Process *process = &processes[next];

		next = (next + 1) % nplaces;
		if (process->pid == 0 || process->type < 0)
			continue;
		read_details(process, &types[process->type]);
		left--;
	}
}

/*
 * What ended processes had used in all is known to the postmaster, what of it had been seen is in
 * `left`; the two may come in different cycles, so that the difference is kept as a balance.
 */
static void
add_ended(PerfoptBatch *batch, double left)
{
	static double last = 0;
	static double balance = 0;
	PerfoptLabel label = { "backend_type", "ended" };
	const char *text = read_of_pid(PostmasterPid, "stat");
	double own;
	double ended;

	if (text == NULL || !perfopt_pidfs_stat(text, (double) sysconf(_SC_CLK_TCK), &own, &ended))
		return;
	if (looked_before)
	{
		balance += ended - last - left;
		perfopt_batch_add_increase(batch, &perfopt_process_metrics[CPU], &label, 1,
								   rint(Max(balance, 0) * 1e6) / 1e6);
		balance = Min(balance, 0);
	}
	last = ended;
}

static void
add_type(PerfoptBatch *batch, const Type *type)
{
	PerfoptLabel label = { "backend_type", type->name };
	const PerfoptMetric *metrics = perfopt_process_metrics;

	perfopt_batch_add(batch, &metrics[PROCESSES], &label, 1, type->processes);
	if (looked_before)
	{
		perfopt_batch_add_increase(batch, &metrics[CPU], &label, 1, rint(type->cpu * 1e6) / 1e6);
		perfopt_batch_add_increase(batch, &metrics[READ_BYTES], &label, 1, type->read);
		perfopt_batch_add_increase(batch, &metrics[WRITE_BYTES], &label, 1, type->written);
	}
	perfopt_batch_add(batch, &metrics[RESIDENT], &label, 1, type->resident);
	perfopt_batch_add(batch, &metrics[ANON], &label, 1, type->anon);
	if (type->has_fds)
		perfopt_batch_add(batch, &metrics[OPEN_FDS], &label, 1, type->fds);
}

static void
reset_types(void)
{
	for (int i = 0; i < ntypes; i++)
	{
		char name[TYPE_BYTES];

		memcpy(name, types[i].name, TYPE_BYTES);
		memset(&types[i], 0, sizeof(Type));
		memcpy(types[i].name, name, TYPE_BYTES);
	}
}

/* Those that no turn has come to yet are taken for the mean of their kind. */
static void
sum_details(int nplaces)
{
	int detailed[MAX_TYPES] = { 0 };

	for (int i = 0; i < nplaces; i++)
	{
		const Process *process = &processes[i];
		Type *type;

		if (process->pid == 0 || process->type < 0 || !process->detailed)
			continue;
		type = &types[process->type];
		detailed[process->type]++;
		type->resident += process->resident;
		type->anon += process->anon;
		type->fds += process->fds;
		type->has_fds |= process->has_fds;
	}
	for (int i = 0; i < ntypes; i++)
	{
		double factor = detailed[i] > 0 ? (double) types[i].processes / detailed[i] : 0;

		types[i].resident = rint(types[i].resident * factor);
		types[i].anon = rint(types[i].anon * factor);
		types[i].fds = rint(types[i].fds * factor);
	}
}

void
perfopt_collect_process(PerfoptBatch *batch)
{
	int nplaces = MaxBackends + NUM_AUXILIARY_PROCS + 1;
	bool fetched = false;
	double left = 0;

	if (processes == NULL)
		processes = MemoryContextAllocZero(TopMemoryContext, nplaces * sizeof(Process));

	reset_types();
	for (int i = 0; i < nplaces - 1; i++)
	{
		int pid = *(volatile int *) &ProcGlobal->allProcs[i].pid;

		if (pid != 0 || processes[i].pid != 0)
			look_at(&processes[i], pid, &fetched, &left);
	}
	look_at(&processes[nplaces - 1], PostmasterPid, &fetched, &left);
	if (fetched)
		pgstat_clear_backend_activity_snapshot();
	read_details_in_turn(nplaces);
	sum_details(nplaces);

	for (int i = 0; i < ntypes; i++)
		add_type(batch, &types[i]);
	add_ended(batch, left);
	looked_before = true;
}
