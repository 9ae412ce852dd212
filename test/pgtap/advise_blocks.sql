-- Proof of an index: before, after and reverted, by turns.
\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS perfopt;
SELECT plan(9);

CREATE TABLE advise_blocks (id int, shelf int, filler text);
INSERT INTO advise_blocks SELECT g, g, repeat('x', 50) FROM generate_series(1, 50000) g;
ANALYZE advise_blocks;
INSERT INTO perfopt.scenario (name) VALUES ('advise_blocks');
INSERT INTO perfopt.operation (scenario, name, script) VALUES ('advise_blocks', 'find', 'SELECT id FROM advise_blocks WHERE shelf = 4711');
INSERT INTO perfopt.analysis (analyzed_by, since, until, covered_seconds, aas, db_seconds, samples, cores, server_version, perfopt_version)
  VALUES ('test', '2020-01-01', '2020-01-01 00:15', 900, 2, 1800, 1000, 4, '15', '0') RETURNING analysis_id \gset
INSERT INTO perfopt.recommendation (analysis_id, rank, category, finding, title, action_sql, revert_sql, impact_pct, effort_hours, risk,
                                    confidence, entity, rationale, score)
  VALUES (:analysis_id, 1, 'database', 'missing_index', 'Do it', 'CREATE INDEX CONCURRENTLY advise_blocks_shelf_idx ON public.advise_blocks (shelf);',
          'DROP INDEX CONCURRENTLY public.advise_blocks_shelf_idx;', 90, 1, 'low', 0.9, 'e', 'r', 1),
         (:analysis_id, 2, 'memory', 'x', 'Do it', 'ALTER SYSTEM SET shared_buffers = ''1GB'';', '-- x', 90, 1, 'low', 0.9, 'e', 'r', 1);
SELECT min(recommendation_id) AS i, max(recommendation_id) AS restart FROM perfopt.recommendation WHERE analysis_id = :analysis_id \gset

CALL perfopt.prove_in_blocks(:i, '{"scenario": "advise_blocks", "users": 1, "duration": "1 s", "options": {"progress": 0}}') \gset blocks_
SELECT is(:'blocks_state'::text, 'verified', 'an index is proven');
SELECT is((SELECT state FROM perfopt.recommendation WHERE recommendation_id = :i), 'verified', 'its recommendation says so');
SELECT hasnt_index('public', 'advise_blocks', 'advise_blocks_shelf_idx', 'it is gone again');
SELECT ok(NOT perfopt.is_applied(:i), 'and not held to be there');
SELECT ok((SELECT change_pct < -50 AND high_pct < -5 AND low_pct <= change_pct AND windows_before = 4 AND predicted_pct = -90
           FROM perfopt.measurement WHERE recommendation_id = :i), 'with change and interval beside the prediction');
SELECT is((SELECT count(*) FROM perfopt.application WHERE recommendation_id = :i AND state = 'done'), 6::bigint, 'it was applied and reverted three times');
SELECT throws_ok(format('SELECT perfopt.record_blocks(%s, %L)', :restart, (SELECT array_agg(run_id) FROM perfopt.test_run WHERE config ->> 'scenario' = 'advise_blocks')),
  '22023', NULL, 'another''s experiment proves nothing');
SELECT throws_ok(format('CALL perfopt.prove_in_blocks(%s)', :restart), '0A000', NULL, 'what needs a restart is not proven');
SELECT throws_ok(format('CALL perfopt.prove_in_blocks(%s, cycles => 1)', :i), '22023', NULL, 'one cycle is too few');

SELECT * FROM finish();
DELETE FROM perfopt.analysis WHERE analysis_id = :analysis_id;
DELETE FROM perfopt.scenario WHERE name = 'advise_blocks';
DROP TABLE advise_blocks;
