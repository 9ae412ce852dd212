/*
 * compat.h
 *	  The differences between PostgreSQL 15, 16, 17 and 18.
 *
 * No other file mentions PG_VERSION_NUM.  Code elsewhere is written against the newest spelling
 * where that is possible, and this header maps it to what older servers have.
 */
#ifndef PERFOPT_COMPAT_H
#define PERFOPT_COMPAT_H

#include "postgres.h"

#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

#if PG_VERSION_NUM < 150000
#error "perfopt needs PostgreSQL 15 or later"
#endif

/* 17 and 18 each put one more argument among the others. */
#if PG_VERSION_NUM >= 180000
#define perfopt_create_foreignscan_path(root, rel, rows, startup, total)                          \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, NIL, (rel)->lateral_relids, \
							NULL, NIL, NIL)
#elif PG_VERSION_NUM >= 170000
#define perfopt_create_foreignscan_path(root, rel, rows, startup, total)                       \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, (rel)->lateral_relids, \
							NULL, NIL, NIL)
#else
#define perfopt_create_foreignscan_path(root, rel, rows, startup, total)                       \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, (rel)->lateral_relids, \
							NULL, NIL)
#endif

/* What pg_stat_activity shows while a perfopt process rests. */
#define PERFOPT_WAIT_EVENT_MAIN PG_WAIT_EXTENSION

/* 17 made the process number a property of the process, and gathered the virtual id in one place. */
#if PG_VERSION_NUM >= 170000
#define PERFOPT_MY_PROCNO MyProcNumber
#define PERFOPT_PROCNO(proc) GetNumberFromPGProc(proc)
#define PERFOPT_PROC_LXID(proc) ((proc)->vxid.lxid)
#else
#define PERFOPT_MY_PROCNO (MyProc->pgprocno)
#define PERFOPT_PROCNO(proc) ((proc)->pgprocno)
#define PERFOPT_PROC_LXID(proc) ((proc)->lxid)
#endif

/* 18 dropped the parameter execute_once. */
#if PG_VERSION_NUM >= 180000
#define PERFOPT_EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define PERFOPT_EXECUTOR_RUN_PASS queryDesc, direction, count
#else
#define PERFOPT_EXECUTOR_RUN_ARGS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define PERFOPT_EXECUTOR_RUN_PASS queryDesc, direction, count, execute_once
#endif

#if PG_VERSION_NUM >= 180000
#define perfopt_portal_run(portal, dest) PortalRun(portal, FETCH_ALL, true, dest, dest, NULL)
#else
#define perfopt_portal_run(portal, dest) PortalRun(portal, FETCH_ALL, true, true, dest, dest, NULL)
#endif

/* 17 ties wait event sets to a resource owner instead of a memory context. */
#if PG_VERSION_NUM >= 170000
#define perfopt_create_wait_event_set(nevents) CreateWaitEventSet(CurrentResourceOwner, nevents)
#else
#define perfopt_create_wait_event_set(nevents) CreateWaitEventSet(CurrentMemoryContext, nevents)
#endif

/*
 * Statistics views whose columns moved.  Columns are named as perfopt's metrics; what a version lacks is
 * not there at all.  17 gave the checkpointer a view of its own and dropped the backends' counts, which
 * pg_stat_io has; 18 moved the times of WAL writes there too.
 */
#if PG_VERSION_NUM >= 170000
#define PERFOPT_SQL_CHECKPOINTS                                                                   \
	"SELECT num_timed AS pg_checkpoints_timed_total,"                                             \
	" num_requested AS pg_checkpoints_requested_total,"                                           \
	" write_time / 1000 AS pg_checkpoint_write_seconds_total,"                                    \
	" sync_time / 1000 AS pg_checkpoint_sync_seconds_total,"                                      \
	" buffers_written AS pg_checkpoint_buffers_total,"                                            \
	" (SELECT maxwritten_clean FROM pg_catalog.pg_stat_bgwriter) AS pg_bgwriter_maxwritten_total" \
	" FROM pg_catalog.pg_stat_checkpointer"
#else
#define PERFOPT_SQL_CHECKPOINTS                                           \
	"SELECT checkpoints_timed AS pg_checkpoints_timed_total,"             \
	" checkpoints_req AS pg_checkpoints_requested_total,"                 \
	" checkpoint_write_time / 1000 AS pg_checkpoint_write_seconds_total," \
	" checkpoint_sync_time / 1000 AS pg_checkpoint_sync_seconds_total,"   \
	" buffers_checkpoint AS pg_checkpoint_buffers_total,"                 \
	" maxwritten_clean AS pg_bgwriter_maxwritten_total,"                  \
	" buffers_backend AS pg_buffers_backend_total,"                       \
	" buffers_backend_fsync AS pg_buffers_backend_fsync_total"            \
	" FROM pg_catalog.pg_stat_bgwriter"
#endif

#if PG_VERSION_NUM >= 180000
#define PERFOPT_SQL_WAL_TIMES ""
#else
#define PERFOPT_SQL_WAL_TIMES                                                           \
	", CASE WHEN t.\"on\" THEN wal_write_time / 1000 END AS pg_wal_write_seconds_total" \
	", CASE WHEN t.\"on\" THEN wal_sync_time / 1000 END AS pg_wal_sync_seconds_total"
#endif
#define PERFOPT_SQL_WAL                                                    \
	"SELECT wal_bytes AS pg_wal_bytes_total, wal_fpi AS pg_wal_fpi_total," \
	" wal_buffers_full AS pg_wal_buffers_full_total" PERFOPT_SQL_WAL_TIMES \
	" FROM pg_catalog.pg_stat_wal,"                                        \
	" (SELECT pg_catalog.current_setting('track_wal_io_timing')::pg_catalog.bool) AS t (\"on\")"

/* 16 brought pg_stat_io.  What a kind of process never does is NULL there; who did nothing is left out. */
#if PG_VERSION_NUM >= 160000
#define PERFOPT_SQL_IO                                                                         \
	"SELECT backend_type AS \"label:backend_type\", object AS \"label:object\","               \
	" context AS \"label:context\", reads AS pg_io_reads_total, writes AS pg_io_writes_total," \
	" extends AS pg_io_extends_total, evictions AS pg_io_evictions_total,"                     \
	" fsyncs AS pg_io_fsyncs_total, hits AS pg_io_hits_total,"                                 \
	" NULLIF(read_time, 0) / 1000 AS pg_io_read_seconds_total,"                                \
	" NULLIF(write_time, 0) / 1000 AS pg_io_write_seconds_total,"                              \
	" NULLIF(fsync_time, 0) / 1000 AS pg_io_fsync_seconds_total"                               \
	" FROM pg_catalog.pg_stat_io WHERE coalesce(reads, 0) + coalesce(writes, 0)"               \
	" + coalesce(extends, 0) + coalesce(evictions, 0) + coalesce(fsyncs, 0)"                   \
	" + coalesce(hits, 0) > 0"
#endif

/* 16 can be told that a plan is for parameters of any value; 15 assumes it when it knows no values. */
#if PG_VERSION_NUM >= 160000
#define PERFOPT_EXPLAIN_GENERIC "EXPLAIN (GENERIC_PLAN, FORMAT JSON) "
#else
#define PERFOPT_EXPLAIN_GENERIC "EXPLAIN (FORMAT JSON) "
#endif

static inline struct config_generic **
perfopt_guc_variables(int *n)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(n);
#else
	*n = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/*
 * The start of an entry in the shared hash table of pg_stat_statements.  17 tells local blocks' times
 * apart from shared ones and counts the deforming of rows; 18 counts full WAL buffers and parallel
 * workers.  [0] is planning, [1] execution.
 */
typedef struct PerfoptPgssTableKey
{
	Oid role;
	Oid database;
	uint64 query_id;
	bool toplevel;
} PerfoptPgssTableKey;

typedef struct PerfoptPgssTableEntry
{
	PerfoptPgssTableKey key;
	int64 calls[2];
	double total_ms[2];
	double min_max_mean_variance_ms[4][2];
	int64 rows;
	int64 shared_blocks_hit;
	int64 shared_blocks_read;
	int64 shared_blocks_dirtied_written[2];
	int64 local_blocks[4];
	int64 temp_blocks_read;
	int64 temp_blocks_written;
#if PG_VERSION_NUM >= 170000
	double block_times_ms[6];
#else
	double block_times_ms[4];
#endif
	double usage;
	int64 wal_records;
	int64 wal_full_page_images;
	uint64 wal_bytes;
#if PG_VERSION_NUM >= 180000
	int64 wal_buffers_full;
#endif
	int64 jit_functions;
	double jit_generation_ms;
	int64 jit_inlining_count;
#if PG_VERSION_NUM >= 170000
	double jit_deform_ms;
	int64 jit_deform_count;
#endif
	double jit_inlining_ms;
	int64 jit_optimization_count;
	double jit_optimization_ms;
	int64 jit_emission_count;
	double jit_emission_ms;
#if PG_VERSION_NUM >= 180000
	int64 parallel_workers[2];
#endif
	Size query_offset; /* into the file of texts */
	int query_length;  /* bytes; -1 where there is no text */
	int encoding;
} PerfoptPgssTableEntry;

/* 16 gave the estimates of a table's statistics other names. */
#if PG_VERSION_NUM >= 160000
#define PERFOPT_STAT_LIVE(stats) ((stats)->live_tuples)
#define PERFOPT_STAT_DEAD(stats) ((stats)->dead_tuples)
#define PERFOPT_STAT_MODIFIED(stats) ((stats)->mod_since_analyze)
#else
#define PERFOPT_STAT_LIVE(stats) ((stats)->n_live_tuples)
#define PERFOPT_STAT_DEAD(stats) ((stats)->n_dead_tuples)
#define PERFOPT_STAT_MODIFIED(stats) ((stats)->changes_since_analyze)
#endif

/* The first page of a relation's file; 16 gave the address of a file other names. */
static inline Buffer
perfopt_read_first_page(Oid tablespace, Oid database, Oid filenode, bool permanent)
{
#if PG_VERSION_NUM >= 160000
	RelFileLocator file = { .spcOid = tablespace, .dbOid = database, .relNumber = filenode };
#else
	RelFileNode file = { .spcNode = tablespace, .dbNode = database, .relNode = filenode };
#endif

	return ReadBufferWithoutRelcache(file, MAIN_FORKNUM, 0, RBM_NORMAL, NULL, permanent);
}

static inline bool
perfopt_owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

static inline AclResult
perfopt_server_aclcheck(Oid server, Oid role, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server, role, mode);
#else
	return pg_foreign_server_aclcheck(server, role, mode);
#endif
}

/* Entry 1 to pgstat_fetch_stat_numbackends() of the copy of what sessions tell about themselves. */
static inline const PgBackendStatus *
perfopt_backend_status(int index)
{
#if PG_VERSION_NUM >= 160000
	LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(index);
#else
	LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(index);
#endif

	return local != NULL ? &local->backendStatus : NULL;
}

#endif /* PERFOPT_COMPAT_H */
