/*
 * series.c
 *	  The catalogue of series: ids by metric and labels.
 *
 * Names are looked up and registered many at a time, since it is mostly many that are new: the labels of
 * whatever is among the busiest in this cycle.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "store/stream.h"

/* For so long the number of series is taken for granted, if there is room for so large a share more. */
#define COUNT_INTERVAL_MS (60 * 1000)
#define AMPLE_SHARE 10

/*
 * $1 metrics, $2 labels.  A scalar subquery for each, which is a look-up in an index each.  The id is
 * negative of a series that was not seen for a day.
 */
static const char *const select_query =
	"SELECT k.metric_id, (SELECT CASE WHEN s.last_seen OPERATOR(pg_catalog.<)"
	"   (pg_catalog.now() OPERATOR(pg_catalog.-) '1 day'::pg_catalog.interval)"
	"   THEN OPERATOR(pg_catalog.-) s.series_id ELSE s.series_id END FROM perfopt.series s"
	"  WHERE s.metric_id OPERATOR(pg_catalog.=) k.metric_id"
	"  AND s.labels OPERATOR(pg_catalog.=) k.labels)"
	" FROM (SELECT w.n, w.labels::pg_catalog.jsonb AS labels, (SELECT m.metric_id"
	"   FROM perfopt.metric m WHERE m.name OPERATOR(pg_catalog.=) w.metric) AS metric_id"
	"  FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2))"
	"   WITH ORDINALITY AS w (metric, labels, n)) AS k ORDER BY k.n";

/* $1 ids of metrics, $2 labels. */
static const char *const insert_query =
	"INSERT INTO perfopt.series (metric_id, labels)"
	" SELECT w.metric_id, w.labels::pg_catalog.jsonb"
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS w (metric_id, labels)"
	" ON CONFLICT (metric_id, labels) DO NOTHING RETURNING series_id";

static Datum
text_array(Datum *texts, int n)
{
	return PointerGetDatum(construct_array_builtin(texts, n, TEXTOID));
}

/* What is to be looked up: names without an id, of which `rows` has the numbers. */
static int
without_id(const PerfoptSeriesName *names, int n, int *rows)
{
	int found = 0;

	for (int i = 0; i < n; i++)
		if (names[i].series_id <= 0)
			rows[found++] = i;
	return found;
}

/* The plan is kept from when the catalogue was small, and must do when it no longer is. */
static void
execute_by_index(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values)
{
	int guc_level = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	perfopt_store_execute(plan, sql, nargs, types, values, NULL);
	AtEOXact_GUC(true, guc_level);
}

/*
 * Maintenance removes series that were not seen for long, and who has looked one up writes to it for a
 * while before it is noted as seen.
 */
static void
note_seen(Datum *ids, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4ARRAYOID };
	Datum values[] = { PointerGetDatum(construct_array_builtin(ids, n, INT4OID)) };

	perfopt_store_execute(&plan,
						  "UPDATE perfopt.series SET last_seen = pg_catalog.now()"
						  " WHERE series_id OPERATOR(pg_catalog.=) ANY ($1)",
						  lengthof(types), types, values, NULL);
}

static void
look_up(PerfoptSeriesName *names, const int *rows, int nrows)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TEXTARRAYOID, TEXTARRAYOID };
	Datum *metrics = palloc(nrows * sizeof(Datum));
	Datum *labels = palloc(nrows * sizeof(Datum));
	Datum *unseen = palloc(nrows * sizeof(Datum));
	Datum values[2];
	int nunseen = 0;

	for (int i = 0; i < nrows; i++)
	{
		metrics[i] = CStringGetTextDatum(names[rows[i]].metric);
		labels[i] = CStringGetTextDatum(names[rows[i]].labels);
	}
	values[0] = text_array(metrics, nrows);
	values[1] = text_array(labels, nrows);
	execute_by_index(&plan, select_query, lengthof(types), types, values);
	Assert(SPI_processed == nrows);
	for (int i = 0; i < nrows; i++)
	{
		PerfoptSeriesName *name = &names[rows[i]];
		HeapTuple tuple = SPI_tuptable->vals[i];
		bool unknown_metric, unknown;
		Datum metric_id = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &unknown_metric);
		Datum series_id = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &unknown);

		name->metric_id = unknown_metric ? 0 : DatumGetInt32(metric_id);
		name->series_id = unknown ? 0 : abs(DatumGetInt32(series_id));
		if (!unknown && DatumGetInt32(series_id) < 0)
			unseen[nunseen++] = Int32GetDatum(name->series_id);
	}
	SPI_freetuptable(SPI_tuptable);
	if (nunseen > 0)
		note_seen(unseen, nunseen);
}

static int64
count_series(void)
{
	static SPIPlanPtr plan = NULL;
	bool isnull;
	int64 n;

	perfopt_store_execute(&plan, "SELECT pg_catalog.count(*) FROM perfopt.series", 0, NULL, NULL,
						  NULL);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* What this process knows of how many series there are. */
static int64 known_series = -1;
static TimestampTz counted_at = 0;

/* To count them all takes longer than to add a few, so while there is ample room the last count is taken. */
int
perfopt_series_room(int n)
{
	TimestampTz now = GetCurrentTimestamp();

	if (known_series < 0 ||
		known_series + n > perfopt_max_series - perfopt_max_series / AMPLE_SHARE ||
		now < counted_at || TimestampDifferenceExceeds(counted_at, now, COUNT_INTERVAL_MS))
	{
		known_series = count_series();
		counted_at = now;
	}
	return (int) Min(n, Max(perfopt_max_series - known_series, 0));
}

/*
 * Registers those whose metric is known, as far as there is room.  Ids come back in the order of what was
 * inserted, unless somebody else has just registered one of them, or two have the same labels in another
 * order; then they have yet to be looked up, and true is returned.
 */
static bool
register_new(PerfoptSeriesName *names, const int *rows, int nrows)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { INT4ARRAYOID, TEXTARRAYOID };
	PerfoptSeriesName **added = palloc(nrows * sizeof(PerfoptSeriesName *));
	Datum *metrics = palloc(nrows * sizeof(Datum));
	Datum *labels = palloc(nrows * sizeof(Datum));
	Datum values[2];
	int n = 0;

	for (int i = 0; i < nrows; i++)
		if (names[rows[i]].metric_id > 0)
			added[n++] = &names[rows[i]];
	n = n == 0 ? 0 : perfopt_series_room(n);
	if (n == 0)
		return false;
	known_series += n;
	for (int i = 0; i < n; i++)
	{
		metrics[i] = Int32GetDatum(added[i]->metric_id);
		labels[i] = CStringGetTextDatum(added[i]->labels);
	}
	values[0] = PointerGetDatum(construct_array_builtin(metrics, n, INT4OID));
	values[1] = text_array(labels, n);
	perfopt_store_execute(&plan, insert_query, lengthof(types), types, values, NULL);
	if (SPI_processed != n)
		return true;
	for (int i = 0; i < n; i++)
	{
		bool isnull;

		added[i]->series_id =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return false;
}

void
perfopt_series_resolve(PerfoptSeriesName *names, int n)
{
	int *rows = palloc(Max(n, 1) * sizeof(int));
	int nrows = without_id(names, n, rows);

	if (nrows > 0)
	{
		look_up(names, rows, nrows);
		nrows = without_id(names, n, rows);
	}
	if (nrows > 0 && register_new(names, rows, nrows))
		look_up(names, rows, nrows);
	pfree(rows);
}
