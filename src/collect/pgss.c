/*
 * pgss.c
 *	  Reading pg_stat_statements row by row.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "collect/collect.h"
#include "collect/pgss.h"

#define BLOCK_BYTES (64 * 1024)

/* Members of the extension only: a function of that name could be anybody's. */
static const char *const functions_query =
	"SELECT p.oid, p.pronargs FROM pg_catalog.pg_extension e"
	" JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
	"  AND d.refobjid = e.oid AND d.deptype = 'e'"
	"  AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
	" JOIN pg_catalog.pg_proc p ON p.oid = d.objid"
	" WHERE e.extname = 'pg_stat_statements'"
	" AND p.proname IN ('pg_stat_statements', 'pg_stat_statements_info')";

const char *
perfopt_pgss_find(PerfoptPgss *pgss)
{
	memset(pgss, 0, sizeof(*pgss));

	/* Without preloading its functions exist and fail. */
	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		return "pg_stat_statements is not loaded: add it to shared_preload_libraries, restart, and"
			   " CREATE EXTENSION pg_stat_statements";

	perfopt_collect_select(functions_query);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Oid function = DatumGetObjectId(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		int16 nargs =
			DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));

		if (nargs == 0)
			pgss->info = function;
		else
			pgss->function = function;
	}
	SPI_freetuptable(SPI_tuptable);
	return OidIsValid(pgss->function)
			   ? NULL
			   : "pg_stat_statements is not installed in this database: CREATE EXTENSION"
				 " pg_stat_statements";
}

/* Calls the function and returns its tuplestore, made in the context of the econtext. */
static void
call(const PerfoptPgss *pgss, bool texts, ExprContext *econtext, ReturnSetInfo *result)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo flinfo;

	memset(result, 0, sizeof(*result));
	result->type = T_ReturnSetInfo;
	result->econtext = econtext;
	result->allowedModes = SFRM_Materialize;
	fmgr_info(pgss->function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, (Node *) result);
	fcinfo->args[0].value = BoolGetDatum(texts);
	fcinfo->args[0].isnull = false;
	(void) FunctionCallInvoke(fcinfo);
	if (result->setResult == NULL || result->setDesc == NULL)
		elog(ERROR, "pg_stat_statements returned no rows that can be read");
}

void
perfopt_pgss_read(const PerfoptPgss *pgss, bool texts, PerfoptPgssRow row, void *arg)
{
	/* The tuplestore's rows come into it: an allocation set would round each up to 512 bytes. */
	MemoryContext context = GenerationContextCreate(CurrentMemoryContext, "perfopt statements", 0,
													BLOCK_BYTES, BLOCK_BYTES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	ExprContext *econtext = CreateStandaloneExprContext();
	ReturnSetInfo result;
	TupleTableSlot *slot;

	call(pgss, texts, econtext, &result);
	slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(result.setResult, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(oldcontext);
		row(slot, arg);
		MemoryContextSwitchTo(context);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(result.setResult);
	FreeExprContext(econtext, true);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);

	/*
	 * Some megabytes below memory that stays would be kept by the process for good.  Not each time:
	 * to be given them again costs more than the reading.
	 */
#ifdef __GLIBC__
	if (texts)
		(void) malloc_trim(0);
#endif
}

bool
perfopt_pgss_dealloc(const PerfoptPgss *pgss, double *dealloc)
{
	HeapTupleHeader info;
	bool isnull;
	Datum value;

	if (!OidIsValid(pgss->info))
		return false;
	info = DatumGetHeapTupleHeader(OidFunctionCall0(pgss->info));
	value = GetAttributeByName(info, "dealloc", &isnull);
	*dealloc = isnull ? 0 : (double) DatumGetInt64(value);
	return !isnull;
}

int
perfopt_pgss_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	return 0;
}
