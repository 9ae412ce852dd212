-- Scripts of pgbench as operations: what they have in common is taken as it is, what they don't have is refused with
-- its line and what to write instead.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
DELETE FROM perfopt.scenario WHERE name LIKE 'import%';
SELECT plan(41);

CREATE FUNCTION pg_temp.imported(script text, variables jsonb DEFAULT '{}') RETURNS perfopt.operation LANGUAGE plpgsql AS $$
DECLARE
  named text := perfopt.import_pgbench_script('import', script, 1, variables);
BEGIN
  RETURN (SELECT o FROM perfopt.operation o WHERE o.scenario = 'import' AND o.name = named);
END $$;
CREATE FUNCTION pg_temp.refused(script text, message text, what text, variables jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  PERFORM perfopt.import_pgbench_script('import_refused', script, 1, variables);
  RETURN fail(what);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN is(sqlerrm, message, what) || CASE WHEN hint = '' THEN E'\n' || fail('it says what to do') ELSE '' END;
END $$;

-- What is taken.
SELECT is(perfopt.import_pgbench_script('import', 'SELECT 1;'), 'script1', 'a script becomes an operation');
SELECT is(perfopt.import_pgbench_script('import', 'SELECT 2;', 5), 'script2', 'another one another');
SELECT is((SELECT array_agg(weight ORDER BY name) FROM perfopt.operation WHERE scenario = 'import'), '{1,5}', 'with its weight');
SELECT is((SELECT owner FROM perfopt.scenario WHERE name = 'import'), current_user, 'the scenario belongs to who made it');
SELECT results_eq($$SELECT perfopt.import_pgbench_script('import_many', s) FROM unnest(ARRAY['SELECT 1', 'SELECT 2', 'SELECT 3']) s$$,
  ARRAY['script1', 'script2', 'script3'], 'several in one statement too');
SELECT is(perfopt.import_pgbench_script('import', E'-- tpcb-like: <builtin: TPC-B (sort of)>\nSELECT 3;'), 'tpcb-like',
  'a script of pgbench''s own keeps its name');
SELECT is(perfopt.import_pgbench_script('import', E'-- tpcb-like: <builtin: TPC-B (sort of)>\nSELECT 3;'), 'script3', 'unless there is one');
SELECT is((pg_temp.imported(E'\\set x random(1, 10)\n\\if :x > 5\nSELECT :x + 0.5;\n\\else\n\\sleep 1 ms\n\\endif\nSELECT 2 AS y \\gset\nSELECT :y::int;')).script,
  E'\\set x random(1, 10)\n\\if :x > 5\nSELECT :x + 0.5;\n\\else\n\\sleep 1 ms\n\\endif\nSELECT 2 AS y \\gset\nSELECT :y::int;', 'commands that both have are left alone');
SELECT is((pg_temp.imported(E'\\SET x 1\nSELECT 1 AS y, \';\'; -- a comment; :z\n\\GSET p_\nSELECT :p_y::int, :x::int')).script,
  E'\\set x 1\nSELECT 1 AS y, \';\'  -- a comment  :z\n\\gset p_\nSELECT :p_y::int, :x::int',
  'commands become lower-case, and \gset comes in the place of the semicolon');
SELECT is((pg_temp.imported('SELECT :client_id::int, :random_seed::int8')).variables, '{}', 'variables that every script has need no definition');
SELECT is((pg_temp.imported(E'\\set aid random(1, 100000 * :scale)\nSELECT :aid::int')).variables,
  '{"scale": {"query": "SELECT count(*) FROM pgbench_branches"}}', 'scale is counted');
SELECT is((pg_temp.imported('SELECT :scale::int', '{"scale": 7}')).variables, '{"scale": {"choice": [7]}}', 'unless it is given');
SELECT is((pg_temp.imported(E'\\set y :rows * 2\nSELECT :y::int, :t::text, :b::bool, :u::int',
    '{"rows": 100, "t": "it''s \"x\"", "b": true, "u": {"uniform": [1, 5]}, "unused": 1}')).variables,
  '{"rows": {"choice": [100]}, "t": {"choice": ["it''s \"x\""]}, "b": {"choice": [true]}, "u": {"uniform": [1, 5]}}',
  'variables that are given are defined, as constants or as they say');
SELECT is((pg_temp.imported(E'\\startpipeline\nSELECT 1;\n\\syncpipeline\nSELECT 2;\n\\endpipeline')).script ~ '^\s*SELECT 1;\s*SELECT 2;\s*$', true,
  'pipeline commands are left out');
\set told `psql -XAtqc "SELECT perfopt.import_pgbench_script('import', E'\\\\startpipeline\nSELECT 1;\n\\\\endpipeline', 1, '{\"n\": 1}')" 2>&1`
SELECT matches(:'told'::text, 'were left out \(lines 1, 3\)\s+HINT: .*"protocol": "pipeline"', 'which is told with what to do instead');
SELECT matches(:'told'::text, 'does not use the variable "n"', 'likewise a variable that is not used');

-- What runs.
DELETE FROM perfopt.scenario WHERE name = 'import';
SELECT perfopt.import_pgbench_script('import', E'\\set n random(1, :most)\nSELECT :n::int AS m, :n::int + 1 AS o;\n\\gset\n\\if :o <> :m + 1\nSELECT 1 / 0;\n\\endif\nSELECT :most::text, :client_id::int;', 1, '{"most": 50}') \g /dev/null
CREATE TEMP TABLE result AS SELECT * FROM perfopt.load_test(users => 2, duration => '1 s', scenario => 'import', options => '{"progress": 0}');
SELECT ok((SELECT calls > 0 AND errors = 0 FROM result WHERE operation = 'script1'), 'an imported script runs');

-- What is refused.
SELECT pg_temp.refused(E'SELECT 1;\n\\shell ls', 'line 2 of the pgbench script: operations have no \shell', '\shell');
SELECT pg_temp.refused(E'\n\n\\setshell x ls', 'line 3 of the pgbench script: operations have no \setshell', '\setshell');
SELECT pg_temp.refused(E'SELECT 1 AS x \\aset', 'line 1 of the pgbench script: operations have no \aset', '\aset');
SELECT pg_temp.refused(E'SELECT 1\\; SELECT 2;', 'line 1 of the pgbench script: operations have no \;', '\;');
SELECT pg_temp.refused(E'SELECT 1\\:\\:int;', 'line 1 of the pgbench script: operations have no \:', '\:');
SELECT pg_temp.refused(E'\\setrandom x 1 5', 'line 1 of the pgbench script: operations have no \setrandom', '\setrandom');
SELECT pg_temp.refused(E'SELECT 1;\n\\foo', 'line 2 of the pgbench script: there is no command \foo', 'a command that nobody has');
SELECT pg_temp.refused(E'SELECT 1;\n\nSELECT :rows;', 'line 3 of the pgbench script: nothing before it sets the variable "rows"', 'a variable of -D');
SELECT pg_temp.refused(E'\\set y :rows + 1\nSELECT :y', 'line 1 of the pgbench script: nothing before it sets the variable "rows"', 'in an expression too');
SELECT pg_temp.refused(E'SELECT 1 AS x \\gset p_\nSELECT :x', 'line 2 of the pgbench script: nothing before it sets the variable "x"', 'one that no result has, by its prefix');
SELECT pg_temp.refused(E'\\set y 1\nSELECT \'a :y\';', 'line 2 of the pgbench script: the variable "y" is inside quotes, where it can''t be a parameter', 'a variable in a string');
SELECT pg_temp.refused(E'\\set y 1\nSELECT $$a :y$$;', 'line 2 of the pgbench script: the variable "y" is inside quotes, where it can''t be a parameter', 'in a dollar-quoted one');
SELECT pg_temp.refused(E'\\set y 1\nSELECT 1 AS "a:y";', 'line 2 of the pgbench script: the variable "y" is inside quotes, where it can''t be a parameter', 'in a name');
SELECT pg_temp.refused(E'\\set y 1\nSELECT * FROM t_:y;', 'line 2 of the pgbench script: a variable is part of a name', 'or as a part of one');
SELECT lives_ok($$SELECT perfopt.import_pgbench_script('import', E'\\set y 1\nSELECT \'12:30::y\', E\'a\\\':z\', $q$:z$q$, :y::int /* :y \' */; -- :y'';')$$,
  'what only looks like it is fine');
SELECT pg_temp.refused('SELECT :a', 'the value of variable "a" is an array', 'an array is no value', '{"a": [1, 2]}');
SELECT pg_temp.refused('SELECT 1', 'argument "variables" must be a JSON object', 'nor are variables one', '[1]');
SELECT throws_ok($$SELECT perfopt.import_pgbench_script('import_refused', 'SELECT 1', -1)$$, '22023', 'the weight of a script can''t be -1', 'a weight');
SELECT throws_ok($$SELECT perfopt.import_pgbench_script('import_refused', NULL)$$, '22004', 'argument "script" must not be null', 'nothing');
SELECT is_empty($$SELECT FROM perfopt.scenario WHERE name = 'import_refused'$$, 'and then no scenario is made');

-- Other people's scenarios.
CREATE ROLE import_tester;
SELECT perfopt.grant_access('import_tester', 'tester') \g /dev/null
SET ROLE import_tester;
SELECT is(perfopt.import_pgbench_script('import_own', 'SELECT 1'), 'script1', 'a tester imports');
SELECT throws_ok($$SELECT perfopt.import_pgbench_script('import', 'SELECT 1')$$, '42501',
  'scenario "import" belongs to role "' || (SELECT owner FROM perfopt.scenario WHERE name = 'import') || '"', 'but not into others'' scenarios');
SELECT throws_ok($$SELECT perfopt.import_pgbench_script('pgbench', 'SELECT 1')$$, '42501',
  'scenario "pgbench" came with perfopt and can''t be added to', 'nor into built-in ones');
RESET ROLE;
SELECT throws_ok($$SELECT perfopt.import_pgbench_script('pgbench', 'SELECT 1')$$, '42501', NULL, 'nobody does that');
SELECT * FROM finish();
DELETE FROM perfopt.scenario WHERE name LIKE 'import%';
SELECT perfopt.revoke_access('import_tester') \g /dev/null
DROP ROLE import_tester;
