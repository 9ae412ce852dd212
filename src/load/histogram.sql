-- The type histogram: a distribution that can be stored, merged and asked for quantiles later.

CREATE TYPE perfopt.histogram;

CREATE FUNCTION perfopt.histogram_in(cstring) RETURNS perfopt.histogram
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_in';
COMMENT ON FUNCTION perfopt.histogram_in(cstring) IS 'Input function of type histogram.';

CREATE FUNCTION perfopt.histogram_out(perfopt.histogram) RETURNS cstring
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_out';
COMMENT ON FUNCTION perfopt.histogram_out(perfopt.histogram) IS 'Output function of type histogram.';

CREATE FUNCTION perfopt.histogram_recv(internal) RETURNS perfopt.histogram
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_recv';
COMMENT ON FUNCTION perfopt.histogram_recv(internal) IS 'Binary input function of type histogram.';

CREATE FUNCTION perfopt.histogram_send(perfopt.histogram) RETURNS bytea
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_send';
COMMENT ON FUNCTION perfopt.histogram_send(perfopt.histogram) IS 'Binary output function of type histogram.';

CREATE TYPE perfopt.histogram (
  INPUT = perfopt.histogram_in,
  OUTPUT = perfopt.histogram_out,
  RECEIVE = perfopt.histogram_recv,
  SEND = perfopt.histogram_send,
  INTERNALLENGTH = VARIABLE,
  ALIGNMENT = int4,
  STORAGE = extended
);
COMMENT ON TYPE perfopt.histogram IS
  'Distribution of non-negative numbers in log-linear buckets: mergeable, a few hundred bytes, quantiles within 0.4 % of the exact value. Its text is JSON. Make one with perfopt.histogram(float8), ask it with perfopt.quantile.';

CREATE FUNCTION perfopt.histogram_add(internal, float8) RETURNS internal
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_add';
COMMENT ON FUNCTION perfopt.histogram_add(internal, float8) IS 'Transition function of the aggregate histogram.';

CREATE FUNCTION perfopt.histogram_add_histogram(internal, perfopt.histogram) RETURNS internal
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_add_histogram';
COMMENT ON FUNCTION perfopt.histogram_add_histogram(internal, perfopt.histogram) IS 'Transition function of the aggregate merge.';

CREATE FUNCTION perfopt.histogram_combine(internal, internal) RETURNS internal
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_combine';
COMMENT ON FUNCTION perfopt.histogram_combine(internal, internal) IS 'Combine function of the aggregates histogram and merge.';

CREATE FUNCTION perfopt.histogram_serialize(internal) RETURNS bytea
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_serialize';
COMMENT ON FUNCTION perfopt.histogram_serialize(internal) IS 'Serialisation function of the aggregates histogram and merge.';

CREATE FUNCTION perfopt.histogram_deserialize(bytea, internal) RETURNS internal
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_deserialize';
COMMENT ON FUNCTION perfopt.histogram_deserialize(bytea, internal) IS 'Deserialisation function of the aggregates histogram and merge.';

CREATE FUNCTION perfopt.histogram_final(internal) RETURNS perfopt.histogram
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_final';
COMMENT ON FUNCTION perfopt.histogram_final(internal) IS 'Final function of the aggregates histogram and merge.';

CREATE AGGREGATE perfopt.histogram(float8) (
  SFUNC = perfopt.histogram_add,
  STYPE = internal,
  SSPACE = 2048,
  FINALFUNC = perfopt.histogram_final,
  COMBINEFUNC = perfopt.histogram_combine,
  SERIALFUNC = perfopt.histogram_serialize,
  DESERIALFUNC = perfopt.histogram_deserialize,
  PARALLEL = SAFE
);
COMMENT ON AGGREGATE perfopt.histogram(float8) IS
  'Histogram of finite, non-negative numbers of any unit; NULLs are left out, no values at all give NULL. Example: SELECT perfopt.quantile(perfopt.histogram(duration_ms), 0.95) FROM calls;';

CREATE AGGREGATE perfopt.merge(perfopt.histogram) (
  SFUNC = perfopt.histogram_add_histogram,
  STYPE = internal,
  SSPACE = 8192,
  FINALFUNC = perfopt.histogram_final,
  COMBINEFUNC = perfopt.histogram_combine,
  SERIALFUNC = perfopt.histogram_serialize,
  DESERIALFUNC = perfopt.histogram_deserialize,
  PARALLEL = SAFE
);
COMMENT ON AGGREGATE perfopt.merge(perfopt.histogram) IS
  'Merges histograms without loss, as if all their values had gone into one; of different precisions the coarsest wins. Example: SELECT perfopt.quantile(perfopt.merge(latency), 0.99) FROM hourly;';

CREATE FUNCTION perfopt.quantile(h perfopt.histogram, q float8) RETURNS float8
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_quantile';
COMMENT ON FUNCTION perfopt.quantile(perfopt.histogram, float8) IS
  'The value that a share q (0 to 1) of the recorded values does not exceed, in their unit: percentile_disc within the histogram''s relative error; 0 and 1 are exact. NULL when empty. Example: perfopt.quantile(h, 0.95)';

CREATE FUNCTION perfopt.quantile(h perfopt.histogram, q float8[]) RETURNS float8[]
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_quantiles';
COMMENT ON FUNCTION perfopt.quantile(perfopt.histogram, float8[]) IS
  'Several quantiles at once, in an array of the same shape. Example: perfopt.quantile(h, ''{0.5,0.95,0.99}''::float8[])';

CREATE FUNCTION perfopt.histogram_count(h perfopt.histogram) RETURNS bigint
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_count';
COMMENT ON FUNCTION perfopt.histogram_count(perfopt.histogram) IS
  'Number of values recorded, exact. Example: perfopt.histogram_count(h)';

CREATE FUNCTION perfopt.histogram_sum(h perfopt.histogram) RETURNS float8
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_sum';
COMMENT ON FUNCTION perfopt.histogram_sum(perfopt.histogram) IS
  'Sum of the values recorded, in their unit, exact but for float8 rounding; 0 when empty. Example: perfopt.histogram_sum(h)';

CREATE FUNCTION perfopt.histogram_mean(h perfopt.histogram) RETURNS float8
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_mean';
COMMENT ON FUNCTION perfopt.histogram_mean(perfopt.histogram) IS
  'Arithmetic mean of the values recorded, in their unit, exact but for float8 rounding; NULL when empty. Example: perfopt.histogram_mean(h)';

CREATE FUNCTION perfopt.histogram_min(h perfopt.histogram) RETURNS float8
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_min';
COMMENT ON FUNCTION perfopt.histogram_min(perfopt.histogram) IS
  'Smallest value recorded, in its unit, exact; NULL when empty. Example: perfopt.histogram_min(h)';

CREATE FUNCTION perfopt.histogram_max(h perfopt.histogram) RETURNS float8
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_histogram_get_max';
COMMENT ON FUNCTION perfopt.histogram_max(perfopt.histogram) IS
  'Largest value recorded, in its unit, exact; NULL when empty. Example: perfopt.histogram_max(h)';

CREATE FUNCTION perfopt.histogram_buckets(h perfopt.histogram, OUT low float8, OUT high float8, OUT count bigint)
  RETURNS SETOF record
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 200 AS 'MODULE_PATHNAME', 'perfopt_histogram_get_buckets';
COMMENT ON FUNCTION perfopt.histogram_buckets(perfopt.histogram) IS
  'The buckets in use, ascending, for charts: count values with low <= value < high, in their unit; zeros are a row 0, 0. Example: SELECT * FROM perfopt.histogram_buckets(h)';
