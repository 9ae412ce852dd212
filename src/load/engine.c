/*
 * engine.c
 *	  The loop of a load worker: one epoll for all sessions, one timer for all that wait.
 *
 * The loop sleeps in its own epoll and not in a WaitEventSet, whose timeouts are whole milliseconds
 * and which would double the system calls of each wake-up.  What the latch stands for is looked at
 * every TICK_NS instead; signals end the sleep by themselves, and the pipe that tells of the
 * postmaster's death is among the descriptors.
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "load/engine.h"
#include "worker/worker.h"

#define TICK_NS (100 * LOAD_NS_PER_MS)
#define BARRIER_MS 2 /* how often workers look whether all are connected */
#define MAX_EVENTS 128
#define CONNECTING_AT_ONCE 32
#define CANCEL_WAIT_NS LOAD_NS_PER_S
#define SPARE_DESCRIPTORS 100

/* The sessions' sockets come on top of what the server gives a process, so that its files keep their own. */
static void
raise_descriptor_limit(int nsessions)
{
	struct rlimit limit;

	max_safe_fds += nsessions;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= max_safe_fds + SPARE_DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < nsessions + SPARE_DESCRIPTORS)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("a load worker may open only %lld files, too few for %d sessions",
						(long long) limit.rlim_cur, nsessions),
				 errhint("Raise the server's limit on open files (ulimit -n, LimitNOFILE).")));
}

static void
init_session(Engine *engine, Session *session, int max_variables)
{
	session->fd = -1;
	session->timer.heap_at = -1;
	session->timer.session = session;
	session->procno = -1;
	session->state = SESSION_CLOSED;
	session->values = palloc0(sizeof(PerfoptValue) * max_variables);
	session->texts = palloc0(sizeof(SessionText) * max_variables);
}

/* Before the users, who may each have one. */
static void
init_sessions(Engine *engine)
{
	const LoadConfig *config = engine->config;
	int nworkers = engine->shared->nworkers;
	int max_variables = 1;

	for (int v = 0; v < config->nvariants; v++)
		for (int i = 0; i < config->noperations; i++)
			max_variables = Max(max_variables, config->variants[v].operations[i].nvariables);

	engine->pool = config->connections < config->users;
	engine->nsessions =
		(config->connections - engine->worker + nworkers - 1) / nworkers * config->nvariants;
	engine->sessions = palloc0(sizeof(Session) * engine->nsessions);
	for (int i = 0; i < engine->nsessions; i++)
	{
		init_session(engine, &engine->sessions[i], max_variables);
		engine->sessions[i].variant = i % config->nvariants;
	}
}

static void
init_counters(Engine *engine)
{
	const LoadConfig *config = engine->config;
	double sum = 0;

	engine->weights = palloc(sizeof(double) * config->noperations);
	engine->seconds = palloc0(sizeof(LoadSecond) * config->noperations);
	for (int i = 0; i < config->noperations; i++)
	{
		sum += config->operations[i].weight;
		engine->weights[i] = sum;
		engine->seconds[i].latency =
			palloc(perfopt_histogram_size(PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP, LOAD_MAX_EXP));
		perfopt_histogram_init(engine->seconds[i].latency, PERFOPT_HISTOGRAM_COARSE, LOAD_MIN_EXP,
							   LOAD_MAX_EXP);
	}
}

static void
add_descriptor(Engine *engine, int fd, uint32 events, void *mark)
{
	struct epoll_event event = { .events = events, .data.ptr = mark };

	if (epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		ereport(ERROR, (errcode_for_socket_access(), errmsg("epoll_ctl() failed: %m")));
}

void
load_engine_init(Engine *engine, const LoadConfig *config, LoadRun *run, int worker)
{
	engine->config = config;
	engine->run = run;
	engine->shared = run->shared;
	engine->mine = load_run_worker(run->shared, worker);
	engine->worker = worker;
	snprintf(engine->application_name, sizeof(engine->application_name),
			 "perfopt run " INT64_FORMAT, run->shared->run_id);
	engine->timer_at = PG_INT64_MAX;
	engine->context = CurrentMemoryContext;
	initStringInfo(&engine->text);
	engine->open = config->rate > 0;
	engine->arrival = PG_INT64_MAX;
	engine->arrival_timer.heap_at = -1;
	init_sessions(engine);
	load_users_init(engine);
	engine->level = run->shared->level;
	engine->heap = palloc(sizeof(Timer *) * (engine->nusers + engine->nsessions + 1));
	init_counters(engine);
	if (config->kind == LOAD_KIND_AB)
		load_slots_init(engine);
	raise_descriptor_limit(engine->nsessions);

	ReserveExternalFD();
	ReserveExternalFD();
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	engine->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (engine->epoll < 0 || engine->timer < 0)
		ereport(ERROR, (errcode_for_socket_access(),
						errmsg("could not create the load worker's event loop: %m")));

	/* Told of once each time it goes off, the timer need not be read. */
	add_descriptor(engine, engine->timer, EPOLLIN | EPOLLET, &engine->timer);
	add_descriptor(engine, postmaster_alive_fds[POSTMASTER_FD_WATCH], EPOLLIN,
				   postmaster_alive_fds);
}

/*
 * A socket's number may come again for another socket, which epoll knows nothing of: so ask it.
 */
void
load_engine_watch(Engine *engine, Session *session, int fd, uint32 events)
{
	struct epoll_event event = { .events = events, .data.ptr = session };
	int op = session->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (op == EPOLL_CTL_MOD && session->events == events && session->state > SESSION_CONNECTING)
		return;
	session->fd = fd;
	session->events = events;
	if (epoll_ctl(engine->epoll, op, fd, &event) == 0 ||
		(op == EPOLL_CTL_MOD && errno == ENOENT &&
		 epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event) == 0))
		return;
	ereport(ERROR, (errcode_for_socket_access(), errmsg("epoll_ctl() failed: %m")));
}

/* Closing the socket takes it out of epoll. */
void
load_engine_unwatch(Engine *engine, Session *session)
{
	session->fd = -1;
	session->events = 0;
}

void
load_engine_record(Engine *engine, Session *session, int64 now)
{
	LoadSecond *second = &engine->seconds[session->operation];
	LoadResult *result = load_run_result(engine->shared, engine->worker, session->operation);
	int64 intended = session->user->intended;
	bool measured = intended >= engine->measured_from && intended < engine->measured_until;
	double latency_ms = (now - intended) / (double) LOAD_NS_PER_MS;

	engine->mine->calls++;
	result->all++;
	second->calls++;
	if (measured)
	{
		result->calls++;
		result->retries += session->retries;
	}
	if (session->failed && session->slot >= 0)
		load_slot_record(engine, session, latency_ms);
	if (session->failed)
	{
		engine->mine->errors++;
		second->errors++;
		if (measured)
		{
			result->errors++;
			load_error_count(result, &session->first);
		}
		return;
	}
	perfopt_histogram_record(second->latency, latency_ms);
	if (measured)
	{
		perfopt_histogram_record(&result->latency, latency_ms);
		perfopt_histogram_record(load_run_service(engine->shared, engine->worker,
												  session->operation),
								 (now - session->sent) / (double) LOAD_NS_PER_MS);
	}
	if (now >= engine->measured_from && now < engine->measured_until)
		result->completed++;
	if (session->slot >= 0)
		load_slot_record(engine, session, latency_ms);
}

static int64
cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * LOAD_NS_PER_S + used.tv_nsec;
}

static void
end_second(Engine *engine)
{
	for (int i = 0; i < engine->config->noperations; i++)
		perfopt_histogram_merge(&engine->mine->latency, engine->seconds[i].latency);
	engine->mine->cpu_ns = cpu_ns() - engine->cpu_at_start;
	engine->on_second(engine, engine->second);
	for (int i = 0; i < engine->config->noperations; i++)
	{
		engine->seconds[i].calls = engine->seconds[i].errors = engine->seconds[i].retries = 0;
		perfopt_histogram_reset(engine->seconds[i].latency);
	}

	/* A pause of the whole process leaves seconds out; it must not shift those that follow. */
	engine->second = (int) ((engine->now - engine->clock) / LOAD_NS_PER_S);
	engine->next_second = engine->clock + (engine->second + 1) * LOAD_NS_PER_S;
}

static void
start_clock(Engine *engine, int64 clock)
{
	const LoadConfig *config = engine->config;

	engine->clock = clock;
	engine->cpu_at_start = cpu_ns();
	engine->measured_from = clock + load_window_start_ns(config);
	engine->measured_until = engine->window_end = engine->measured_from + load_window_ns(config);
	engine->deadline = engine->window_end + config->ramp_down_ns + config->grace_ns;
	engine->next_second = clock + LOAD_NS_PER_S;
	load_users_start(engine);
}

/* The clock starts when the users of all workers are connected; who sees it first starts it. */
static void
try_start_clock(Engine *engine)
{
	LoadShared *shared = engine->shared;
	uint64 clock = pg_atomic_read_u64(&shared->clock);

	if (clock == 0 && pg_atomic_read_u32(&shared->ready) == shared->nworkers)
	{
		uint64 no_ts = 0;

		/* One for all workers, so that their seconds bear the same names. */
		(void) pg_atomic_compare_exchange_u64(&shared->clock_ts, &no_ts,
											  (uint64) GetCurrentTimestamp());
		if (pg_atomic_compare_exchange_u64(&shared->clock, &clock, (uint64) engine->now))
		{
			clock = (uint64) engine->now;
			pg_atomic_write_u32(&shared->state, LOAD_RUNNING);
			load_run_ask_collector();
			load_run_wake(engine->run);
		}
	}
	if (clock != 0)
		start_clock(engine, (int64) clock);
}

static void
connect_more(Engine *engine)
{
	int limit = Max(CONNECTING_AT_ONCE / engine->shared->nworkers, 4);

	while (engine->next_connect < engine->nsessions && engine->nconnecting < limit)
		load_session_connect(engine, &engine->sessions[engine->next_connect++]);
}

static void
set_timer(Engine *engine)
{
	Timer *next = load_timer_next(engine);
	struct itimerspec spec = { 0 };

	/* A timer that goes off too early costs less than setting it again each time. */
	if (next == NULL || engine->timer_at <= next->due)
		return;
	spec.it_value.tv_sec = next->due / LOAD_NS_PER_S;
	spec.it_value.tv_nsec = next->due % LOAD_NS_PER_S;
	if (timerfd_settime(engine->timer, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
		ereport(ERROR, (errcode_for_socket_access(), errmsg("timerfd_settime() failed: %m")));
	engine->timer_at = next->due;
}

static void
fire_timers(Engine *engine)
{
	Timer *next;

	while ((next = load_timer_next(engine)) != NULL && next->due <= engine->now)
	{
		if (next->user != NULL)
			load_user_due(engine, next->user);
		else if (next->session != NULL)
			load_session_due(engine, next->session);
		else
			load_arrivals_due(engine);
	}
}

static int
sleep_ms(const Engine *engine, bool barrier)
{
	int64 until =
		engine->clock > 0 ? Min(engine->next_tick, engine->next_second) : engine->next_tick;
	int64 ms = (until - engine->now) / LOAD_NS_PER_MS + 1;

	if (barrier)
		return BARRIER_MS;
	return (int) Max(0, Min(ms, TICK_NS / LOAD_NS_PER_MS));
}

static void
wait_and_dispatch(Engine *engine, bool barrier)
{
	struct epoll_event events[MAX_EVENTS];
	int n;

	set_timer(engine);
	pgstat_report_wait_start(PERFOPT_WAIT_EVENT_MAIN);
	n = epoll_wait(engine->epoll, events, MAX_EVENTS, sleep_ms(engine, barrier));
	pgstat_report_wait_end();
	if (n < 0 && errno != EINTR)
		ereport(ERROR, (errcode_for_socket_access(), errmsg("epoll_wait() failed: %m")));

	engine->now = load_clock();
	if (engine->clock > 0 && engine->now >= engine->next_second)
		end_second(engine);
	for (int i = 0; i < n; i++)
	{
		if (events[i].data.ptr == &engine->timer)
			engine->timer_at = PG_INT64_MAX;
		else if (events[i].data.ptr == postmaster_alive_fds)
			proc_exit(1);
		else
			load_session_ready(engine, events[i].data.ptr);
	}
	fire_timers(engine);
}

static void
begin_results_anew(Engine *engine)
{
	for (int i = 0; i < engine->config->noperations; i++)
	{
		LoadResult *result = load_run_result(engine->shared, engine->worker, i);

		result->calls = result->errors = result->completed = result->retries = 0;
		result->nkinds = 0;
		result->other_errors = 0;
		perfopt_histogram_reset(&result->latency);
		perfopt_histogram_reset(load_run_service(engine->shared, engine->worker, i));
	}
	engine->measured_from = engine->clock + engine->level.measured_from;
	engine->measured_until = engine->clock + engine->level.measured_until;
}

/* If the load was set anew. */
static void
take_level(Engine *engine)
{
	LoadShared *shared = engine->shared;
	bool changed;

	SpinLockAcquire(&shared->mutex);
	changed = shared->level.number != engine->level.number;
	engine->level = shared->level;
	SpinLockRelease(&shared->mutex);
	if (!changed)
		return;
	begin_results_anew(engine);
	load_users_level(engine);
}

/* At the end of the test those who wait for something to do have no timer of their own. */
static void
stop_who_rests(Engine *engine)
{
	if (engine->now < engine->window_end + engine->config->ramp_down_ns)
		return;
	for (int i = 0; i < engine->nusers; i++)
	{
		User *user = &engine->users[i];

		if (user->session == NULL || !load_session_busy(user->session))
			load_user_stop(engine, user);
	}
}

static void
tick(Engine *engine)
{
	CHECK_FOR_INTERRUPTS();
	(void) perfopt_worker_reload();
	if (ShutdownRequestPending)
		load_run_fail(engine->run, ERRCODE_ADMIN_SHUTDOWN,
					  "a load worker was told to stop by an administrator, a shutdown, or DDL on "
					  "its database");
	engine->next_tick = engine->now + TICK_NS;
	if (engine->clock == 0)
		return;
	take_level(engine);
	stop_who_rests(engine);
	if (engine->on_tick != NULL)
		engine->on_tick(engine);
}

/* Ends what runs, on the server as well, and gives it a moment to say so. */
static void
cancel_running(Engine *engine)
{
	int64 give_up;

	engine->stopping = true;
	for (int i = 0; i < engine->nusers; i++)
	{
		User *user = &engine->users[i];

		if (user->session == NULL || !load_session_busy(user->session) ||
			user->session->state == SESSION_SLEEPING)
			load_user_stop(engine, user);
		else
			load_session_cancel(user->session);
	}

	give_up = load_clock() + CANCEL_WAIT_NS;
	engine->next_tick = engine->now = load_clock();
	while (engine->nlive > 0 && engine->now < give_up)
	{
		engine->next_tick = engine->now + TICK_NS;
		wait_and_dispatch(engine, false);
	}

	for (int i = 0; i < engine->nusers; i++)
	{
		User *user = &engine->users[i];

		if (user->stopped || engine->discarding)
			continue;
		user->session->failed = true;
		load_error_set(&user->session->first, "57014",
					   "did not end when it was cancelled after the test");
		load_engine_record(engine, user->session, load_clock());
	}
}

static bool
counted_something(const Engine *engine)
{
	for (int i = 0; i < engine->config->noperations; i++)
		if (engine->seconds[i].calls > 0)
			return true;
	return false;
}

static bool
must_stop(const Engine *engine)
{
	return pg_atomic_read_u32(&engine->shared->stop) != LOAD_GO_ON;
}

void
load_engine_run(Engine *engine)
{
	bool ready = false;

	engine->now = load_clock();
	while (engine->nlive > 0 && !must_stop(engine))
	{
		connect_more(engine);
		wait_and_dispatch(engine, ready && engine->clock == 0);
		if (engine->now >= engine->next_tick)
			tick(engine);
		if (!ready && engine->nready == engine->nsessions)
		{
			pg_atomic_fetch_add_u32(&engine->shared->ready, 1);
			ready = true;
		}
		if (ready && engine->clock == 0)
			try_start_clock(engine);
		if (engine->clock > 0 && engine->now >= engine->deadline)
			break;
	}

	if (engine->clock > 0)
		engine->mine->unserved =
			load_arrivals_backlog(engine, Min(engine->now, engine->window_end));

	/* Calls that a stopped test cut off say nothing about the target. */
	engine->discarding = must_stop(engine);
	if (engine->nlive > 0)
		cancel_running(engine);
	engine->now = engine->mine->ended = load_clock();
	if (engine->clock > 0 && counted_something(engine))
		end_second(engine);
	if (engine->clock > 0 && engine->config->kind == LOAD_KIND_AB)
		load_slots_end(engine);
	load_engine_close(engine);
}

void
load_engine_close(Engine *engine)
{
	for (int i = 0; i < engine->nsessions; i++)
		load_session_close(engine, &engine->sessions[i]);
	if (engine->epoll > 0)
		close(engine->epoll);
	if (engine->timer > 0)
		close(engine->timer);
	engine->epoll = engine->timer = 0;
}
