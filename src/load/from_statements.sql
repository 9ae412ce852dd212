-- A scenario of the statements that the server really runs.

-- Its search_path is the caller's: the names in the statements mean what they mean there.
CREATE FUNCTION perfopt.scenario_from_statements(
  name text, top int DEFAULT 10, since interval DEFAULT '1 hour', read_only boolean DEFAULT true)
RETURNS int
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'perfopt_scenario_from_statements';
COMMENT ON FUNCTION perfopt.scenario_from_statements(text, int, interval, boolean) IS
  'Makes a scenario of the statements that were called most in this database, as pg_stat_statements has them, and returns how many operations it has: at most top (1 to 64, default 10), with their calls as weights. since: calls of that time as perfopt collected them (default 1 hour), or NULL for all since pg_stat_statements was reset; a notice says which were used. Values of parameters come from the columns that they are compared with or stored in, when a test starts. read_only (default true) takes nothing that writes or locks rows; false takes INSERT, UPDATE, DELETE and MERGE too, and a test then changes data. Notices say what was left out and why. It takes the rights to run the statements, and pg_read_all_stats to see those of other roles. Example: SELECT perfopt.scenario_from_statements(''yesterday'', 20, ''1 day'');';
