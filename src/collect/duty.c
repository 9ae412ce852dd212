/*
 * duty.c
 *	  What other rooms do in the collector once a cycle's samples are committed.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "collect/collect.h"
#include "collect/cycle.h"
#include "worker/worker.h"

#define MAX_DUTIES 8

static const PerfoptDuty *duties = NULL;
static int nduties = 0;

void
perfopt_collect_set_duties(const PerfoptDuty *table, int ntable)
{
	Assert(ntable <= MAX_DUTIES);
	duties = table;
	nduties = ntable;
}

static void
run_duty(const PerfoptDuty *duty, TimestampTz now)
{
	const double wall_from = perfopt_cycle_clock_ms(CLOCK_MONOTONIC);
	const double cpu_from = perfopt_cycle_clock_ms(CLOCK_PROCESS_CPUTIME_ID);
	char *volatile error = NULL;

	PG_TRY();
	{
		perfopt_cycle_begin();
		if (perfopt_extension_hold() == PERFOPT_EXTENSION_READY)
		{
			SPI_connect();
			duty->run(now);
			SPI_finish();
		}
		perfopt_cycle_commit();
		if (duty->committed != NULL)
			duty->committed();
	}
	PG_CATCH();
	{
		error = perfopt_cycle_caught_error();
		if (duty->failed != NULL)
			duty->failed();
	}
	PG_END_TRY();
	perfopt_collect_note(duty->name, "", error,
						 perfopt_cycle_clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_from,
						 perfopt_cycle_clock_ms(CLOCK_MONOTONIC) - wall_from);
}

void
perfopt_cycle_run_duties(void)
{
	static TimestampTz last_run[MAX_DUTIES];
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < nduties; i++)
	{
		if (duties[i].interval_ms > 0 && !perfopt_worker_asked() && now >= last_run[i] &&
			!TimestampDifferenceExceeds(last_run[i], now, duties[i].interval_ms))
			continue;
		last_run[i] = now;
		run_duty(&duties[i], now);
		CHECK_FOR_INTERRUPTS();
	}
}
