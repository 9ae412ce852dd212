/*
 * maintain.c
 *	  What the store does about its own age: rolling up, sealing, partitions, retention.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "store/stream.h"

#define PARTITIONS_INTERVAL_US (60 * 60 * INT64CONST(1000000))

/*
 * When the catalogue of series is nearly full, those that were not seen for longer than raw samples are
 * kept make room.  What rollups they still have goes with them.
 */
static void
forget_series(TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = { TIMESTAMPTZOID, INT8OID };
	Datum values[] = {
		/* Writers remember series for a day after they have seen them. */
		TimestampTzGetDatum(
			now - Max(perfopt_retention_raw_min * INT64CONST(60000000), 2 * USECS_PER_DAY)),
		Int64GetDatum(perfopt_max_series - perfopt_max_series / 10)
	};

	perfopt_store_execute(
		&plan,
		"DELETE FROM perfopt.series WHERE last_seen OPERATOR(pg_catalog.<) $1"
		" AND (SELECT pg_catalog.count(*) FROM perfopt.series) OPERATOR(pg_catalog.>) $2",
		lengthof(types), types, values, NULL);
}

/* One at a time: the second finds what the first has made. */
static void
lock_out_others(void)
{
	static SPIPlanPtr lock = NULL;

	perfopt_store_execute(&lock, "LOCK TABLE perfopt.stream IN SHARE UPDATE EXCLUSIVE MODE", 0,
						  NULL, NULL, NULL);
}

void
perfopt_store_maintain(bool all)
{
	TimestampTz now = GetCurrentTimestamp();

	SPI_connect();
	lock_out_others();
	perfopt_store_roll(now, all);
	for (int id = 0; id < PERFOPT_NUM_STREAMS; id++)
		perfopt_store_seal(id, now, all);
	SPI_finish();
}

int
perfopt_store_prune(bool all)
{
	static TimestampTz partitions_due = 0;
	TimestampTz now = GetCurrentTimestamp();
	int dropped = 0;

	SPI_connect();
	lock_out_others();
	if (all || now >= partitions_due || now < partitions_due - PARTITIONS_INTERVAL_US)
	{
		dropped = perfopt_partition_maintain(now);
		forget_series(now);
		partitions_due = now + PARTITIONS_INTERVAL_US;
	}
	SPI_finish();
	return dropped;
}

PG_FUNCTION_INFO_V1(perfopt_maintain_now);

Datum
perfopt_maintain_now(PG_FUNCTION_ARGS)
{
	perfopt_store_maintain(true);
	PG_RETURN_INT32(perfopt_store_prune(true));
}
