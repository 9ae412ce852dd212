-- Runs as its caller: the C code takes the owner's rights for reading, and must know who asks to decide
-- whether texts of statements may be shown.
CREATE FUNCTION perfopt.bottlenecks(
  since interval DEFAULT '15 min', until timestamptz DEFAULT now(),
  OUT category text, OUT finding text, OUT severity text,
  OUT impact_pct float8, OUT impact_low_pct float8, OUT impact_high_pct float8,
  OUT aas float8, OUT seconds float8, OUT entity text, OUT root_cause text,
  OUT factors jsonb, OUT evidence jsonb, OUT lineage text)
RETURNS SETOF record
LANGUAGE c STRICT VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_bottlenecks';
COMMENT ON FUNCTION perfopt.bottlenecks(interval, timestamptz) IS
  'What held the server back in the window of length `since` (default 15 min) that ends at `until` (default now), worst first. impact_pct is the share of DB time (CPU and waits of user sessions) that would go if the problem were solved, with its 95 % interval; NULL for findings about availability. aas is that part as average active sessions, seconds as DB time in seconds. factors names other findings that belong to the cause, evidence holds raw figures and SQL that reproduces them, lineage the thresholds and where they come from. Texts of statements are shown to members of pg_read_all_stats. Example: SELECT finding, severity, impact_pct, entity, root_cause FROM perfopt.bottlenecks(''5 min'');';

CREATE FUNCTION perfopt.finding_thresholds(
  OUT category text, OUT finding text, OUT name text, OUT value float8, OUT meaning text, OUT lineage text)
RETURNS SETOF record
LANGUAGE c STRICT IMMUTABLE ROWS 150
AS 'MODULE_PATHNAME', 'perfopt_finding_thresholds';
COMMENT ON FUNCTION perfopt.finding_thresholds() IS
  'The thresholds of all findings as they are by default, and where each comes from: measured, convention (whose) or judgement. Example: SELECT * FROM perfopt.finding_thresholds() WHERE finding = ''lock_contention'';';

CREATE TABLE perfopt.finding_setting (
  finding text NOT NULL,
  name text NOT NULL,
  value float8 NOT NULL,
  default_value float8,
  meaning text,
  lineage text,
  set_by text,
  set_at timestamptz,
  PRIMARY KEY (finding, name)
);
COMMENT ON TABLE perfopt.finding_setting IS
  'The thresholds that bottlenecks() judges by, each of which can be changed. Example: UPDATE perfopt.finding_setting SET value = 0.5 WHERE finding = ''lock_contention'' AND name = ''warning_aas'';';
COMMENT ON COLUMN perfopt.finding_setting.default_value IS 'Setting value to this undoes a change.';
COMMENT ON COLUMN perfopt.finding_setting.meaning IS 'What is limited, with its unit.';
COMMENT ON COLUMN perfopt.finding_setting.lineage IS 'Where the default comes from: measured, convention (whose) or judgement.';
COMMENT ON COLUMN perfopt.finding_setting.set_by IS 'The role that changed it; NULL while it is the default.';
INSERT INTO perfopt.finding_setting (finding, name, value, default_value, meaning, lineage)
  SELECT t.finding, t.name, t.value, t.value, t.meaning, t.lineage FROM perfopt.finding_thresholds() t;

CREATE FUNCTION perfopt.check_finding_setting() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known record;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.finding, NEW.name) <> (OLD.finding, OLD.name) THEN
    RAISE EXCEPTION 'threshold "%" of finding "%" cannot be renamed', OLD.name, OLD.finding
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Change value alone.';
  END IF;
  SELECT t.* INTO known FROM perfopt.finding_thresholds() t WHERE t.finding = NEW.finding AND t.name = NEW.name;
  IF NOT FOUND THEN
    -- pg_restore switches this off: a dump of another version may have thresholds that this one lacks.
    IF NOT current_setting('check_function_bodies')::boolean THEN
      RETURN NULL;
    END IF;
    RAISE EXCEPTION 'finding "%" has no threshold "%"', NEW.finding, NEW.name USING ERRCODE = 'undefined_object',
      HINT = coalesce((SELECT format('It has %s.', string_agg(t.name, ', ' ORDER BY t.name))
                       FROM perfopt.finding_thresholds() t WHERE t.finding = NEW.finding),
                      'SELECT DISTINCT finding FROM perfopt.finding_setting lists the findings.');
  END IF;
  IF NEW.value::text IN ('NaN', 'Infinity', '-Infinity') OR NEW.value < 0 THEN
    RAISE EXCEPTION 'threshold "%" of finding "%" must be finite and not negative, not %', NEW.name, NEW.finding, NEW.value
      USING ERRCODE = 'invalid_parameter_value', HINT = format('The default is %s.', known.value);
  END IF;
  NEW.default_value := known.value;
  NEW.meaning := known.meaning;
  NEW.lineage := known.lineage;
  IF NEW.value = known.value THEN
    NEW.set_by := NULL;
    NEW.set_at := NULL;
  ELSIF TG_OP = 'UPDATE' OR NEW.set_by IS NULL THEN
    NEW.set_by := current_user;
    NEW.set_at := now();
  END IF;
  IF TG_OP = 'INSERT' THEN
    -- One that is restored from a dump takes the place of the default.
    DELETE FROM perfopt.finding_setting s WHERE s.finding = NEW.finding AND s.name = NEW.name AND s.set_by IS NULL;
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION perfopt.check_finding_setting() IS
  'Refuses values of perfopt.finding_setting that make no sense and notes who changed one; its trigger calls it.';
CREATE TRIGGER check_finding_setting BEFORE INSERT OR UPDATE ON perfopt.finding_setting
  FOR EACH ROW EXECUTE FUNCTION perfopt.check_finding_setting();

SELECT pg_catalog.pg_extension_config_dump('perfopt.finding_setting', 'WHERE set_by IS NOT NULL');
