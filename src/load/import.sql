-- Scripts of pgbench as operations of a scenario.

CREATE FUNCTION perfopt.import_pgbench_script(
  name text, script text, weight int DEFAULT 1, variables jsonb DEFAULT '{}')
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_import_pgbench_script';
COMMENT ON FUNCTION perfopt.import_pgbench_script(text, text, int, jsonb) IS
  'Adds the text of a pgbench script to the scenario of that name as an operation (script1, script2 ...), whose name it returns; a scenario that does not exist is made and belongs to the caller. weight (default 1) is pgbench''s after the @ of -f. variables has values for what -D sets, {"rows": 100}, or how they are drawn, {"rows": {"uniform": [1, 100]}}; without one for scale it is the number of rows of pgbench_branches on the target. What load tests do not have (\aset, \shell, \setshell, \;) is an error that says its line and what to write instead; pipeline commands are left out with a notice, see option protocol. Example: SELECT perfopt.import_pgbench_script(''mix'', E''\\set id random(1, :rows)\nSELECT * FROM product WHERE id = :id;'', 3, ''{"rows": 1000}'');';
