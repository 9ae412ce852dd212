/*
 * now.c
 *	  collect_now(): a cycle on request.
 */
#include "postgres.h"

#include "fmgr.h"

#include "collect/collect.h"
#include "sampler/sampler.h"
#include "shmem.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(perfopt_collect_now);

/*
 * The prober goes first, so that what the collector sees of it (its cycle time) is of this very
 * request.
 */
Datum
perfopt_collect_now(PG_FUNCTION_ARGS)
{
	perfopt_require_home();
	perfopt_sampler_ignore_me();
	perfopt_worker_run_once(perfopt_worker_index("perfopt prober"));
	perfopt_worker_run_once(perfopt_worker_index("perfopt collector"));
	PG_RETURN_VOID();
}
