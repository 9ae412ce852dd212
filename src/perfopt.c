/*
 * perfopt.c
 *	  The door of the extension: what happens when the library is loaded.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "alert/alert.h"
#include "collect/collect.h"
#include "diagnose/watch.h"
#include "guc.h"
#include "sampler/sampler.h"
#include "shmem.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

static const PerfoptWorkerDef workers[] = {
	{ "perfopt sampler", false, BgWorkerStart_ConsistentState, perfopt_sampler_interval_ms,
	  perfopt_sampler_cycle },
	{ "perfopt collector", true, BgWorkerStart_RecoveryFinished, perfopt_collect_interval_ms,
	  perfopt_collector_cycle },
	{ "perfopt prober", true, BgWorkerStart_RecoveryFinished, perfopt_collect_interval_ms,
	  perfopt_prober_cycle },
};

static const PerfoptDuty duties[] = {
	{ "alerts", 0, perfopt_alert_evaluate_duty, perfopt_alert_evaluate_committed,
	  perfopt_alert_evaluate_failed },
	{ "findings", PERFOPT_DIAGNOSE_WATCH_INTERVAL_MS, perfopt_diagnose_watch_duty,
	  perfopt_diagnose_watch_committed, perfopt_diagnose_watch_failed },
	{ "events", 60 * 60 * 1000, perfopt_alert_forget_duty, NULL, NULL },
};

static const PerfoptSource *const prober_sources[] = { &perfopt_delivery_source };

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	perfopt_guc_init();

	/* Everything else lives in shared memory or the postmaster, which takes the preload. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	perfopt_shmem_init();
	perfopt_sampler_install_hooks();
	perfopt_worker_install_hooks();
	perfopt_collect_set_duties(duties, lengthof(duties));
	perfopt_prober_set_sources(prober_sources, lengthof(prober_sources));
	perfopt_worker_register(workers, lengthof(workers));
}
