/*
 * json.c
 *	  Settings out of a jsonb, with errors that name the setting.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "load/load.h"

void
load_json_refuse(const char *key, const char *wanted, const char *example)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" of a load test must be %s", key, wanted),
					errhint("For example: {\"%s\": %s}.", key, example)));
}

int64
load_json_integer(const char *key, const JsonbValue *value, int64 min, int64 max,
				  const char *example)
{
	Datum number;

	if (value->type != jbvNumeric)
		load_json_refuse(key, "a whole number", example);
	number = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(
			DirectFunctionCall2(numeric_eq, number,
								DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))))
		load_json_refuse(key, "a whole number", example);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number,
										 DirectFunctionCall1(int8_numeric, Int64GetDatum(min)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number,
										 DirectFunctionCall1(int8_numeric, Int64GetDatum(max)))))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test is out of range: %s", key,
							   DatumGetCString(DirectFunctionCall1(numeric_out, number))),
						errhint("It may be %lld to %lld.", (long long) min, (long long) max)));
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

double
load_json_number(const char *key, const JsonbValue *value, const char *example)
{
	if (value->type != jbvNumeric)
		load_json_refuse(key, "a number", example);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

char *
load_json_string(const char *key, const JsonbValue *value, const char *example)
{
	if (value->type != jbvString || value->val.string.len == 0)
		load_json_refuse(key, "a string that is not empty", example);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
load_json_bool(const char *key, const JsonbValue *value)
{
	if (value->type != jbvBool)
		load_json_refuse(key, "true or false", "true");
	return value->val.boolean;
}

double
load_json_seconds(const char *key, const JsonbValue *value)
{
	const Interval *interval;

	if (value->type == jbvNumeric)
		return load_json_number(key, value, "30");
	if (value->type != jbvString)
		load_json_refuse(key, "an interval", "\"30 s\"");
	interval = DatumGetIntervalP(
		DirectFunctionCall3(interval_in, CStringGetDatum(load_json_string(key, value, "\"30 s\"")),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return load_interval_seconds(key, interval);
}

double
load_interval_seconds(const char *key, const Interval *interval)
{
	if (interval->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a load test can't be given in months", key),
						errhint("Months differ in length; use days, hours, minutes or seconds.")));
	return interval->day * (double) SECS_PER_DAY + interval->time / 1e6;
}

void
load_json_each(void *arg, JsonbContainer *container, const char *what,
			   void (*set)(void *arg, const char *key, const JsonbValue *value))
{
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	char *key = "";

	if (!JsonContainerIsObject(container) || JsonContainerIsScalar(container))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of a load test must be a JSON object", what)));

	it = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type != jbvNull)
			set(arg, key, &value);
	}
}
