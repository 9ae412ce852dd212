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
