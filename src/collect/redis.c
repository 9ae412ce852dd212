/*
 * redis.c
 *	  Redis targets: whether they answer, how fast, and what INFO, SLOWLOG and LATENCY say.
 *
 * One target that hangs, refuses or talks nonsense is noted as such and keeps nobody else waiting.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "collect/collect.h"
#include "collect/prober.h"
#include "collect/redis_client.h"
#include "collect/redis_info.h"
#include "target/target.h"

#define SOURCE "redis"
#define CACHE "cache"
#define GAUGE(name, unit, help)                \
	{                                          \
		name, CACHE, PERFOPT_GAUGE, unit, help \
	}
#define COUNTER(name, unit, help)                \
	{                                            \
		name, CACHE, PERFOPT_COUNTER, unit, help \
	}

#define MAX_TEXT 128

/* Redis has some 240 commands; what names many more things than that is not to fill the store. */
#define MAX_VALUES 1500

const PerfoptMetric perfopt_redis_metrics[] = {
	[PERFOPT_REDIS_UP] = GAUGE("redis_up", "bool",
							   "Whether the server lets us in and answers PING and INFO in time"),
	[PERFOPT_REDIS_PING_SECONDS] =
		GAUGE("redis_ping_seconds", "seconds", "Time from PING to its answer"),
	[PERFOPT_REDIS_HIT_RATIO] =
		GAUGE("redis_hit_ratio", "ratio",
			  "Hits among the look-ups since the cycle before; absent without any"),
	[PERFOPT_REDIS_SLOWLOG_LAST_ID] =
		GAUGE("redis_slowlog_last_id", "id", "Number of the latest slow command"),
	[PERFOPT_REDIS_LATENCY_SPIKE] =
		GAUGE("redis_latency_spike_seconds", "seconds",
			  "The latest spike that LATENCY saw since the cycle before"),
	[PERFOPT_REDIS_CONNECTED_CLIENTS] =
		GAUGE("redis_connected_clients", "clients", "Connected clients, the prober included"),
	[PERFOPT_REDIS_BLOCKED_CLIENTS] =
		GAUGE("redis_blocked_clients", "clients", "Clients in a blocking command"),
	[PERFOPT_REDIS_REJECTED_CONNECTIONS] =
		COUNTER("redis_rejected_connections_total", "connections",
				"Connections refused because of maxclients"),
	[PERFOPT_REDIS_COMMANDS_PROCESSED] =
		COUNTER("redis_commands_processed_total", "commands", "Commands processed"),
	[PERFOPT_REDIS_KEYSPACE_HITS] =
		COUNTER("redis_keyspace_hits_total", "lookups", "Look-ups that found their key"),
	[PERFOPT_REDIS_KEYSPACE_MISSES] =
		COUNTER("redis_keyspace_misses_total", "lookups", "Look-ups that did not find their key"),
	[PERFOPT_REDIS_EVICTED_KEYS] =
		COUNTER("redis_evicted_keys_total", "keys", "Keys evicted for want of memory"),
	[PERFOPT_REDIS_EXPIRED_KEYS] = COUNTER("redis_expired_keys_total", "keys", "Keys that expired"),
	[PERFOPT_REDIS_MEMORY_USED] =
		GAUGE("redis_memory_used_bytes", "bytes", "Memory that Redis allocated"),
	[PERFOPT_REDIS_MEMORY_MAX] =
		GAUGE("redis_memory_max_bytes", "bytes", "Setting maxmemory; absent without a limit"),
	[PERFOPT_REDIS_MEM_FRAGMENTATION] =
		GAUGE("redis_mem_fragmentation_ratio", "ratio", "Resident memory by allocated memory"),
	[PERFOPT_REDIS_LATEST_FORK] =
		GAUGE("redis_latest_fork_seconds", "seconds", "How long the latest fork took"),
	[PERFOPT_REDIS_EVENTLOOP_DURATION] =
		GAUGE("redis_eventloop_duration_seconds", "seconds",
			  "Average duration of one round of the event loop just now (Redis 7.2)"),
	[PERFOPT_REDIS_AOF_DELAYED_FSYNC] =
		COUNTER("redis_aof_delayed_fsync_total", "fsyncs",
				"Writes held up by a slow fsync of the append-only file"),
	[PERFOPT_REDIS_REPLICATION_LAG] =
		GAUGE("redis_replication_lag_bytes", "bytes", "What a replica has not yet confirmed"),
	[PERFOPT_REDIS_COMMAND_CALLS] =
		COUNTER("redis_command_calls_total", "calls", "Calls of a command"),
	[PERFOPT_REDIS_COMMAND_SECONDS] =
		COUNTER("redis_command_seconds_total", "seconds", "CPU time of a command"),
	[PERFOPT_REDIS_ERRORS] =
		COUNTER("redis_errors_total", "errors", "Answers that were errors of one kind (Redis 6.2)"),
	[PERFOPT_REDIS_RDB_LAST_BGSAVE_OK] =
		GAUGE("redis_rdb_last_bgsave_ok", "bool", "Whether the latest background save worked"),
	[PERFOPT_REDIS_DB_KEYS] = GAUGE("redis_db_keys", "keys", "Keys in a database"),
};
const int perfopt_redis_nmetrics = lengthof(perfopt_redis_metrics);
StaticAssertDecl(lengthof(perfopt_redis_metrics) == PERFOPT_REDIS_NUM_METRICS,
				 "every metric that redis_info.h hands over is described");

/* What is remembered of a target between cycles. */
typedef struct TargetState
{
	Oid serverid;          /* key */
	bool seen;             /* in this cycle */
	char run_id[MAX_TEXT]; /* of the Redis process whose numbers these are; empty is none */
	double hits;
	double misses;
	double latest_spike; /* its time on the server's clock */
} TargetState;

static HTAB *states = NULL;

/* This cycle's, and the targets that cannot be asked. */
static List *answers = NIL;
static List *unusable = NIL;

/* What is being added for one target. */
typedef struct Adding
{
	PerfoptBatch *batch;
	const char *target;
	int nvalues;
	double hits; /* negative while not met */
	double misses;
} Adding;

static TargetState *
state_of(const PerfoptTarget *target)
{
	TargetState *state;
	bool found;

	if (states == NULL)
	{
		HASHCTL ctl = { .keysize = sizeof(Oid),
						.entrysize = sizeof(TargetState),
						.hcxt = TopMemoryContext };

		states =
			hash_create("perfopt redis targets", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	state = hash_search(states, &target->serverid, HASH_ENTER, &found);
	if (!found)
		memset((char *) state + sizeof(Oid), 0, sizeof(TargetState) - sizeof(Oid));
	state->seen = true;
	return state;
}

static void
forget_dropped_targets(void)
{
	HASH_SEQ_STATUS scan;
	TargetState *state;

	if (states == NULL)
		return;
	hash_seq_init(&scan, states);
	while ((state = hash_seq_search(&scan)) != NULL)
	{
		if (!state->seen)
			hash_search(states, &state->serverid, HASH_REMOVE, NULL);
		else
			state->seen = false;
	}
}

static void
add(void *arg, PerfoptRedisMetric metric, const char *label, double value)
{
	Adding *adding = arg;
	PerfoptLabel labels[2] = { { "target", adding->target } };
	char text[MAX_TEXT];

	if (metric == PERFOPT_REDIS_KEYSPACE_HITS)
		adding->hits = value;
	else if (metric == PERFOPT_REDIS_KEYSPACE_MISSES)
		adding->misses = value;

	if (++adding->nvalues > MAX_VALUES)
		return;
	if (label != NULL)
	{
		/* From outside: it could be in no encoding at all. */
		strlcpy(text, label, sizeof(text));
		for (char *p = text; *p != '\0'; p++)
		{
			if (*p < ' ' || *p > '~')
				*p = '?';
		}
		labels[1] = (PerfoptLabel){ perfopt_redis_label_name(metric), text };
	}
	perfopt_batch_add(adding->batch, &perfopt_redis_metrics[metric], labels, label ? 2 : 1,
					  perfopt_prober_rounded(value));
}

/* Over the look-ups since the cycle before, of the same process of Redis. */
static void
add_hit_ratio(Adding *adding, TargetState *state, const char *run_id)
{
	double hits = adding->hits - state->hits;
	double lookups = hits + adding->misses - state->misses;
	bool comparable = run_id[0] != '\0' && strcmp(run_id, state->run_id) == 0 &&
					  adding->hits >= state->hits && adding->misses >= state->misses;

	if (comparable && lookups > 0)
		add(adding, PERFOPT_REDIS_HIT_RATIO, NULL, hits / lookups);
	strlcpy(state->run_id, run_id, sizeof(state->run_id));
	state->hits = adding->hits;
	state->misses = adding->misses;
}

/*
 * LATENCY shows the latest spike of each kind for ever; here each one is shown once.  Those of before
 * the first look are not news.
 */
static void
add_spikes(Adding *adding, TargetState *state, const PerfoptRedisAnswer *answer, bool first_look)
{
	double latest = state->latest_spike;

	for (int i = 0; i < answer->nspikes; i++)
	{
		const PerfoptRedisSpike *spike = &answer->spikes[i];

		if (spike->at > state->latest_spike && !first_look)
			add(adding, PERFOPT_REDIS_LATENCY_SPIKE, spike->event, spike->seconds);
		latest = Max(latest, spike->at);
	}
	state->latest_spike = latest;
}

static void
add_answer(PerfoptBatch *batch, const PerfoptRedisAnswer *answer)
{
	TargetState *state = state_of(answer->target);
	Adding adding = { batch, answer->target->name, 0, -1, -1 };
	const char *error = answer->error;
	char run_id[MAX_TEXT] = "";
	bool first_look = state->run_id[0] == '\0';

	if (error == NULL && perfopt_redis_info(answer->info, add, &adding) == 0)
		error = "the answer to INFO has nothing in it that is known";
	add(&adding, PERFOPT_REDIS_UP, NULL, error == NULL);
	if (answer->ping_seconds >= 0)
		add(&adding, PERFOPT_REDIS_PING_SECONDS, NULL, answer->ping_seconds);
	if (error == NULL)
	{
		perfopt_redis_info_field(answer->info, "run_id", run_id, sizeof(run_id));
		add_hit_ratio(&adding, state, run_id);
		if (answer->slowlog_last_id >= 0)
			add(&adding, PERFOPT_REDIS_SLOWLOG_LAST_ID, NULL, answer->slowlog_last_id);
		add_spikes(&adding, state, answer, first_look);
		if (adding.nvalues > MAX_VALUES)
			error = psprintf("INFO has %d values; those past %d are left out", adding.nvalues,
							 MAX_VALUES);
	}
	perfopt_collect_note(SOURCE, answer->target->name, error, -1, answer->wall_ms);
}

void
perfopt_start_redis(PerfoptLoop *loop)
{
	ListCell *cell;

	answers = NIL;
	unusable = NIL;
	foreach (cell, perfopt_prober_usable(SOURCE, "redis", &unusable))
	{
		PerfoptTarget *target = lfirst(cell);

		answers =
			lappend(answers, perfopt_redis_start(loop, target, perfopt_prober_timeout_ms(target)));
	}
}

void
perfopt_collect_redis(PerfoptBatch *batch)
{
	ListCell *cell;

	foreach (cell, unusable)
	{
		PerfoptLabel label = { "target", ((PerfoptTarget *) lfirst(cell))->name };

		perfopt_batch_add(batch, &perfopt_redis_metrics[PERFOPT_REDIS_UP], &label, 1, 0);
	}
	foreach (cell, answers)
		add_answer(batch, lfirst(cell));
	forget_dropped_targets();
}
