/*
 * cycle.c
 *	  What the parts of a collecting cycle share.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "collect/cycle.h"
#include "worker/worker.h"

MemoryContext perfopt_cycle_context = NULL;

void
perfopt_cycle_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
perfopt_cycle_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(perfopt_cycle_context);
}

char *
perfopt_cycle_caught_error(void)
{
	ErrorData *edata;

	MemoryContextSwitchTo(perfopt_cycle_context);
	edata = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(perfopt_cycle_context);
	if (!get_timeout_active(STATEMENT_TIMEOUT))
		enable_timeout_after(STATEMENT_TIMEOUT, perfopt_worker_deadline_ms(0));
	return edata->message;
}

double
perfopt_cycle_clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}
