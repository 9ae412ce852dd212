/*
 * advise_resources.c
 *	  Advice for findings about processors, memory, disks, network and caches.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/guc.h"

#include "advise/advise.h"

#define MIB (1024.0 * 1024.0)

void
perfopt_advise_cpu(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double cpu = perfopt_evidence_get_number(finding, "cpu_aas");
	double cores = perfopt_evidence_get_number(finding, "cores");
	double needed = ceil(cpu / 0.7);
	const char *query = perfopt_evidence_get_text(finding, "top_query_id");
	PerfoptAdvice *advice = perfopt_advice_add(
		advising,
		query
			? psprintf("Make the statements cheaper that use the processors, query %s first", query)
			: "Make the statements cheaper that use the processors",
		PERFOPT_RISK_LOW, 8, 0.5);

	advice->action_sql =
		"SELECT queryid, calls, total_exec_time, mean_exec_time, query FROM pg_stat_statements\n"
		"ORDER BY total_exec_time DESC LIMIT 10;";
	advice->revert_sql = "-- nothing to revert: it only reads";
	advice->rationale = psprintf("%.2f sessions on average were on CPU and %g cores are usable. "
								 "Less work per call is cheaper "
								 "than more cores.",
								 cpu, cores);
	if (needed <= cores)
		return;

	advice = perfopt_advice_add(advising, psprintf("Give the server %.0f cores", needed),
								PERFOPT_RISK_MEDIUM, 4, 0.7);
	perfopt_advice_outside(advice,
						   psprintf("move the server to a machine with %.0f cores, or admit fewer "
									"sessions at a time with a pooler",
									needed),
						   "move back");
	advice->rationale =
		psprintf("%.2f sessions on CPU / 0.7 (busy at most 70 %%) = %.0f cores.", cpu, needed);
}

/* Power of two steps read better than exact figures, and the estimate is no better than that. */
static double
next_power(double value)
{
	return pow(2, ceil(log2(Max(value, 1))));
}

void
perfopt_advise_work_mem(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *role = perfopt_evidence_get_text(finding, "role");
	double now_mb = perfopt_evidence_get_number(finding, "work_mem_kb") / 1024;
	double files = perfopt_evidence_get_number(finding, "temp_files");
	double file_mb =
		files > 0 ? perfopt_evidence_get_number(finding, "temp_bytes") / files / MIB : 0;
	double memory_mb = advising->facts->memory_bytes / MIB;
	double sessions = Max(ceil(advising->facts->aas), 1);
	double wanted = next_power(Max(3 * file_mb, 2 * now_mb));
	double bound = floor(memory_mb / 4 / sessions / 2);
	double value = Min(wanted, bound);
	PerfoptAdvice *advice;

	if (value <= now_mb)
	{
		advice = perfopt_advice_add(advising, "Make the statements that spill sort and hash less",
									PERFOPT_RISK_LOW, 8, 0.4);
		advice->action_sql = "SELECT queryid, calls, temp_blks_written, query FROM "
							 "pg_stat_statements\nORDER BY temp_blks_written DESC LIMIT 10;";
		advice->revert_sql = "-- nothing to revert: it only reads";
		advice->rationale =
			psprintf("work_mem (%.0f MB) is already as large as memory allows: %.0f MB / 4 / %.0f "
					 "active sessions / 2 sorts each = %.0f MB.",
					 now_mb, memory_mb, sessions, bound);
		return;
	}
	advice =
		perfopt_advice_add(advising,
						   role ? psprintf("Raise work_mem to %.0f MB for role %s", value, role)
								: psprintf("Raise work_mem to %.0f MB", value),
						   PERFOPT_RISK_LOW, 0.5, 0.7);
	if (!perfopt_advice_alter_role(advice, role, "work_mem", psprintf("%.0fMB", value)))
		perfopt_advice_alter_system(advice, "work_mem", psprintf("%.0fMB", value));
	advice->rationale = psprintf(
		"Three times the average temporary file (%.1f MB, data takes more room in memory than in a "
		"file), at least twice the present %.0f MB, rounded up to a power of two: %.0f MB; and no "
		"more "
		"than %.0f MB of memory / 4 / %.0f active sessions / 2 sorts each = %.0f MB.",
		file_mb, now_mb, wanted, memory_mb, sessions, bound);
}

void
perfopt_advise_shared_buffers(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double now_mb = perfopt_evidence_get_number(finding, "shared_buffers_mb");
	double memory_mb = perfopt_evidence_get_number(finding, "memory_mb");
	double value = floor(memory_mb / 4);
	PerfoptAdvice *advice;

	if (value >= 1.25 * now_mb)
	{
		advice =
			perfopt_advice_add(advising,
							   psprintf("Raise shared_buffers to %s", perfopt_size(value * MIB)),
							   PERFOPT_RISK_MEDIUM, 1, 0.6);
		perfopt_advice_alter_system(advice, "shared_buffers", perfopt_size(value * MIB));
		advice->rationale = psprintf("A quarter of %.0f MB of memory; now it is %.0f MB. Needs a "
									 "restart, after which the cache is cold.",
									 memory_mb, now_mb);
		return;
	}
	advice = perfopt_advice_add(advising, "Read less, or give the server more memory",
								PERFOPT_RISK_MEDIUM, 8, 0.5);
	perfopt_advice_outside(advice,
						   "find the statements that read most (pg_stat_statements, "
						   "shared_blks_read) and index or partition\nwhat they read; if all of it "
						   "is needed, give the machine more memory",
						   "return the memory");
	advice->rationale = psprintf("shared_buffers (%.0f MB) is about a quarter of memory (%.0f MB) "
								 "already; beyond that it takes from the system's own cache.",
								 now_mb, memory_mb);
}

void
perfopt_advise_wal_sync(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *role = perfopt_evidence_get_text(finding, "role");
	double commits = perfopt_evidence_get_number(finding, "commits_per_s");
	double wait_ms = perfopt_evidence_get_number(finding, "wait_ms_per_commit");
	double delay_us = isnan(wait_ms) ? 1000 : Min(Max(rint(wait_ms * 1000 / 2), 100), 10000);
	PerfoptAdvice *advice =
		perfopt_advice_add(advising, "Commit less often", PERFOPT_RISK_LOW, 8, 0.7);

	perfopt_advice_outside(
		advice,
		"in the application, put several changes into one transaction (batches of "
		"100 rather than single rows),\nand put pg_wal on a disk with a fast or "
		"battery-backed cache",
		"undo the change of the application");
	advice->rationale =
		psprintf("%.2f sessions on average waited for WAL%s. A transaction waits once, whatever it "
				 "changes.",
				 finding->impact.aas,
				 isnan(commits) ? ""
								: psprintf(" at %.0f commits a second, %.1f ms each", commits,
										   isnan(wait_ms) ? 0 : wait_ms));

	advice = perfopt_advice_add(advising, "Let commits that come together share one sync",
								PERFOPT_RISK_LOW, 0.5, 0.3);
	perfopt_advice_alter_system(advice, "commit_delay", psprintf("%.0f", delay_us));
	advice->rationale = psprintf(
		"commit_delay in microseconds: half of the wait per commit (%.1f ms), between 100 and "
		"10000. It acts only while commit_siblings (%.0f) other transactions are open.",
		isnan(wait_ms) ? 2.0 : wait_ms, perfopt_setting("commit_siblings"));

	advice =
		perfopt_advice_add(advising,
						   role ? psprintf("Let commits of role %s not wait for the disk", role)
								: pstrdup("Let commits not wait for the disk"),
						   PERFOPT_RISK_HIGH, 0.5, 0.9);
	if (!perfopt_advice_alter_role(advice, role, "synchronous_commit", "off"))
		perfopt_advice_alter_system(advice, "synchronous_commit", "off");
	advice->rationale =
		psprintf("After a crash the transactions of the last %.0f ms (three times "
				 "wal_writer_delay) may be lost, "
				 "though nothing gets corrupted. Only where the application can bear that.",
				 3 * perfopt_setting("wal_writer_delay"));
}

/* Room on the file system of the WAL, else of the data; NaN when unknown. */
static double
free_for_wal(const PerfoptFacts *facts)
{
	PerfoptSeries *series =
		perfopt_facts_labelled(facts, "node_filesystem_avail_bytes", "role", "wal");

	if (series == NULL)
		series = perfopt_facts_labelled(facts, "node_filesystem_avail_bytes", "role", "data");
	return series ? series->last : NAN;
}

void
perfopt_advise_checkpoints(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	double rate = perfopt_evidence_get_number(finding, "wal_bytes_per_s");
	double timeout = perfopt_setting("checkpoint_timeout");
	double target = perfopt_setting("checkpoint_completion_target");
	double now = perfopt_setting("max_wal_size") * MIB;
	double room = free_for_wal(advising->facts);
	double wanted = Max(rate * timeout * (1 + target) * 1.25, 2 * now);
	double bound = isnan(room) ? INFINITY : now + room / 2;
	double value = Min(isnan(wanted) ? 2 * now : wanted, bound);
	PerfoptAdvice *advice;

	if (value <= now * 1.1)
	{
		advice = perfopt_advice_add(advising, "Write less WAL, or make room for more of it",
									PERFOPT_RISK_MEDIUM, 8, 0.4);
		perfopt_advice_alter_system(advice, "wal_compression", "on");
		advice->rationale =
			psprintf("max_wal_size should grow, but only %.0f MB are free where pg_wal is. "
					 "Compressing full-page images makes WAL smaller for some processor time.",
					 room / MIB);
		return;
	}
	advice = perfopt_advice_add(advising, psprintf("Raise max_wal_size to %s", perfopt_size(value)),
								PERFOPT_RISK_LOW, 0.5, 0.8);
	perfopt_advice_alter_system(advice, "max_wal_size", perfopt_size(value));
	advice->rationale = psprintf(
		"%.2f MB of WAL a second * %.0f s checkpoint_timeout * (1 + %.1f "
		"checkpoint_completion_target) "
		"* 1.25 = %.0f MB, at least twice the present %.0f MB%s. Recovery after a crash may take "
		"longer, as there is more WAL to replay.",
		rate / MIB, timeout, target, rate * timeout * (1 + target) * 1.25 / MIB, now / MIB,
		isnan(room) ? ""
					: psprintf(", and no more than half of the %.0f MB free on top", room / MIB));
}

void
perfopt_advise_client_wait(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	PerfoptAdvice *advice =
		perfopt_advice_add(advising,
						   psprintf("Return less at a time to the client of %s", finding->entity),
						   PERFOPT_RISK_LOW, 4, 0.7);

	perfopt_advice_outside(
		advice,
		"in the application, name the columns that are needed instead of *, add "
		"LIMIT or read through a cursor\n(DECLARE ... CURSOR, FETCH 1000) or in "
		"single-row mode while working on other rows, and place it near the server",
		"undo the change of the application");
	advice->rationale = psprintf(
		"%.2f sessions on average could not go on because the client had not taken what was "
		"sent. No setting of the server changes that; locks and snapshots are held "
		"meanwhile.",
		finding->impact.aas);
}

void
perfopt_advise_cache_down(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	bool up = perfopt_evidence_get_number(finding, "up_at_end") > 0;
	const char *target = perfopt_evidence_get_text(finding, "target");
	PerfoptAdvice *advice =
		perfopt_advice_add(advising,
						   up ? psprintf("Find out why cache %s was down", target)
							  : psprintf("Start cache %s again", target),
						   PERFOPT_RISK_LOW, up ? 2 : 0.5, 0.9);

	perfopt_advice_outside(
		advice,
		psprintf(
			"%s\nand look into its log for the reason (memory, disk, crash);\nits address: SELECT "
			"srvoptions FROM pg_foreign_server WHERE srvname = %s",
			up ? "watch it (redis-cli PING)" : "systemctl start redis-server on its host",
			quote_literal_cstr(target)),
		"systemctl stop redis-server");
	advice->rationale =
		psprintf("It failed %.0f of %.0f probes. Until it is back the database does "
				 "the cache's work on top of its own.",
				 perfopt_evidence_get_number(finding, "probes_failed"),
				 perfopt_evidence_get_number(finding, "probes"));
}

void
perfopt_advise_cache_hit_ratio(PerfoptAdvising *advising)
{
	const PerfoptFinding *finding = advising->finding;
	const char *target = perfopt_evidence_get_text(finding, "target");
	double max = perfopt_evidence_get_number(finding, "memory_max_bytes");
	double evicted = perfopt_evidence_get_number(finding, "evicted_keys");
	double hits = perfopt_evidence_get_number(finding, "hits");
	double lookups = perfopt_evidence_get_number(finding, "lookups");
	PerfoptAdvice *advice;

	if (evicted > 0 && max > 0)
	{
		advice = perfopt_advice_add(advising, psprintf("Give cache %s more memory", target),
									PERFOPT_RISK_LOW, 0.5, 0.6);
		perfopt_advice_outside(advice, psprintf("redis-cli CONFIG SET maxmemory %.0f", 2 * max),
							   psprintf("redis-cli CONFIG SET maxmemory %.0f", max));
		advice->rationale =
			psprintf("%.0f keys were evicted for want of memory in the window; twice "
					 "the present maxmemory of %.0f MB.",
					 evicted, max / MIB);
		return;
	}
	advice = perfopt_advice_add(advising, psprintf("Let cache %s keep what is asked for", target),
								PERFOPT_RISK_LOW, 4, 0.5);
	perfopt_advice_outside(
		advice,
		"in the application, lengthen the time to live of keys that expire before "
		"they are read again,\nfill them when the database is read, and cache "
		"look-ups that find nothing too",
		"restore the former time to live");
	advice->rationale =
		psprintf("%.0f of %.0f look-ups were hits, and nothing was evicted: keys were "
				 "never stored or had expired.",
				 hits, lookups);
}
