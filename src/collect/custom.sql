-- A DBA's own SQL as a source. It runs with the rights of its owner, so nobody else may change it.

CREATE FUNCTION perfopt.check_custom_sql(sql text) RETURNS void
LANGUAGE c STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_check_custom_sql';
COMMENT ON FUNCTION perfopt.check_custom_sql(text) IS
  'Raises an error that says what is wrong unless the text is one SELECT that can be a custom metric: a column "value" of some type of number, every other column a label. Nothing is executed. Example: SELECT perfopt.check_custom_sql(''SELECT 1 AS value'');';

CREATE TABLE perfopt.custom_metric (
  name text PRIMARY KEY,
  sql text NOT NULL,
  dimension text NOT NULL DEFAULT 'application',
  unit text NOT NULL,
  collect_interval interval NOT NULL DEFAULT '1 min',
  kind text NOT NULL DEFAULT 'gauge',
  help text NOT NULL DEFAULT 'Custom metric',
  timeout interval NOT NULL DEFAULT '1 s',
  row_limit int NOT NULL DEFAULT 100,
  enabled boolean NOT NULL DEFAULT true,
  owner regrole NOT NULL DEFAULT quote_ident(current_user)::regrole
);
COMMENT ON TABLE perfopt.custom_metric IS
  'A query as a source of a metric, run read-only with its owner''s rights in a process of its own; how it fares is in perfopt.source_status (source custom). Only its owner can change it. Example: INSERT INTO perfopt.custom_metric (name, sql, unit) VALUES (''app_orders_open'', ''SELECT region, count(*) AS value FROM shop.orders WHERE state = 1 GROUP BY region'', ''orders'');';
COMMENT ON COLUMN perfopt.custom_metric.name IS
  'As Prometheus names metrics: letters, digits, _ and :, 63 at most; a counter ends in _total. Prefixes of perfopt''s own metrics (pg_, node_, redis_ ...) are refused.';
COMMENT ON COLUMN perfopt.custom_metric.sql IS
  'One SELECT with a column "value" of a type of number; each other column is a label of its name, as text (left out where NULL). Names outside pg_catalog must be qualified with their schema. Rows whose value is NULL are left out.';
COMMENT ON COLUMN perfopt.custom_metric.dimension IS
  'system, application, database, cache, external or integration.';
COMMENT ON COLUMN perfopt.custom_metric.unit IS 'Base unit: seconds, bytes, ratio, or what is counted.';
COMMENT ON COLUMN perfopt.custom_metric.collect_interval IS
  'Time between two runs, 1 s to 1 day; in effect the next cycle (perfopt.collect_interval) after it. collect_now() runs all.';
COMMENT ON COLUMN perfopt.custom_metric.kind IS
  'gauge, or counter: an ever growing value, stored as its increase since the run before (none where it fell).';
COMMENT ON COLUMN perfopt.custom_metric.timeout IS 'Longest time that the query may take, 1 ms to 10 s.';
COMMENT ON COLUMN perfopt.custom_metric.row_limit IS
  'Most rows that it may return, 1 to 1000: one that returns more fails.';
COMMENT ON COLUMN perfopt.custom_metric.enabled IS 'Whether it is run.';
COMMENT ON COLUMN perfopt.custom_metric.owner IS
  'Role that defined it and with whose rights it is run, as long as it may define custom metrics; only a superuser can set another.';

CREATE FUNCTION perfopt.check_custom_metric() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  other text;
BEGIN
  IF NEW.name !~ '^[a-zA-Z_:][a-zA-Z0-9_:]*$' OR length(NEW.name) > 63 THEN
    RAISE EXCEPTION 'metric name "%" is not valid', NEW.name USING ERRCODE = 'invalid_name',
      HINT = 'Use letters, digits, _ and :, at most 63 and no digit first, as in app_orders_open.';
  END IF;
  IF NEW.name ~ '^(pg|node|perfopt|redis|probe|external|integration|pgbouncer|container|cgroup)_' THEN
    RAISE EXCEPTION 'metric name "%" begins like perfopt''s own', NEW.name USING ERRCODE = 'reserved_name',
      HINT = 'Give it a prefix of yours, as in app_orders_open.';
  END IF;
  IF NEW.kind NOT IN ('gauge', 'counter') THEN
    RAISE EXCEPTION 'kind "%" of metric "%" does not exist', NEW.kind, NEW.name
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Kinds are gauge and counter.';
  END IF;
  IF (NEW.kind = 'counter') <> (NEW.name LIKE '%\_total') THEN
    RAISE EXCEPTION 'metric "%" of kind % has a name of the other kind', NEW.name, NEW.kind
      USING ERRCODE = 'invalid_name', HINT = 'Names of counters, and only they, end in _total.';
  END IF;
  PERFORM perfopt.checked_dimension(NEW.dimension);
  IF NEW.unit !~ '\S' THEN
    RAISE EXCEPTION 'metric "%" has no unit', NEW.name USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Give a base unit (seconds, bytes, ratio), or say what is counted.';
  END IF;
  IF extract(epoch FROM NEW.collect_interval) NOT BETWEEN extract(epoch FROM interval '1 s') AND extract(epoch FROM interval '1 day') THEN
    RAISE EXCEPTION 'collect_interval of metric "%" must be from 1 s to 1 day, not %', NEW.name, NEW.collect_interval
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example ''1 min''.';
  END IF;
  IF extract(epoch FROM NEW.timeout) NOT BETWEEN extract(epoch FROM interval '1 ms') AND extract(epoch FROM interval '10 s') THEN
    RAISE EXCEPTION 'timeout of metric "%" must be from 1 ms to 10 s, not %', NEW.name, NEW.timeout
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example ''1 s''.';
  END IF;
  IF NEW.row_limit NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'row_limit of metric "%" must be from 1 to 1000, not %', NEW.name, NEW.row_limit
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Group the rows, or take the largest with ORDER BY and LIMIT.';
  END IF;
  SELECT m.kind INTO other FROM perfopt.metric m WHERE m.name = NEW.name AND m.kind <> NEW.kind;
  IF FOUND THEN
    RAISE EXCEPTION 'metric "%" exists already as a %', NEW.name, other USING ERRCODE = 'duplicate_object',
      HINT = 'Choose another name.';
  END IF;
  -- Analysing a query can run code of its author's, so only the author does it. pg_restore switches it
  -- off, as for functions: what the query needs may not be there yet.
  IF (TG_OP = 'INSERT' OR NEW.sql <> OLD.sql) AND NEW.owner = quote_ident(current_user)::regrole
     AND current_setting('check_function_bodies')::boolean THEN
    PERFORM perfopt.check_custom_sql(NEW.sql);
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION perfopt.check_custom_metric() IS
  'Refuses rows of perfopt.custom_metric that cannot be a metric, with an error that says why; its trigger calls it.';
CREATE TRIGGER check_custom_metric BEFORE INSERT OR UPDATE ON perfopt.custom_metric
  FOR EACH ROW EXECUTE FUNCTION perfopt.check_custom_metric();

CREATE FUNCTION perfopt.describe_custom_metric() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO perfopt.metric (name, dimension, kind, unit, help)
    VALUES (NEW.name, NEW.dimension, NEW.kind, NEW.unit, NEW.help)
    ON CONFLICT (name) DO UPDATE
      SET dimension = excluded.dimension, unit = excluded.unit, help = excluded.help;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION perfopt.describe_custom_metric() IS
  'Enters a row of perfopt.custom_metric into the catalogue perfopt.metric; its trigger calls it.';
CREATE TRIGGER describe_custom_metric AFTER INSERT OR UPDATE ON perfopt.custom_metric
  FOR EACH ROW EXECUTE FUNCTION perfopt.describe_custom_metric();

ALTER TABLE perfopt.custom_metric ENABLE ROW LEVEL SECURITY;
CREATE POLICY anybody_reads ON perfopt.custom_metric FOR SELECT USING (true);
CREATE POLICY owner_inserts ON perfopt.custom_metric FOR INSERT WITH CHECK (owner = quote_ident(current_user)::regrole);
CREATE POLICY owner_updates ON perfopt.custom_metric FOR UPDATE
  USING (owner = quote_ident(current_user)::regrole) WITH CHECK (owner = quote_ident(current_user)::regrole);
CREATE POLICY owner_deletes ON perfopt.custom_metric FOR DELETE USING (owner = quote_ident(current_user)::regrole);

SELECT pg_catalog.pg_extension_config_dump('perfopt.custom_metric', '');
