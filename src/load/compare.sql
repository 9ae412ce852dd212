-- Comparing load tests: is it slower than before, and is that more than noise?

CREATE TABLE perfopt.test_slot (
  run_id bigint NOT NULL REFERENCES perfopt.test_run ON DELETE CASCADE,
  pair int NOT NULL,
  variant text NOT NULL CHECK (variant IN ('a', 'b')),
  operation text NOT NULL,
  seconds float8 NOT NULL,
  calls bigint NOT NULL,
  errors bigint NOT NULL,
  latency perfopt.histogram,
  PRIMARY KEY (run_id, pair, variant, operation)
);
COMMENT ON TABLE perfopt.test_slot IS
  'What an A/B test measured: short slots in pairs, one of each variant in random order, by operation. Example: SELECT pair, variant, sum(calls - errors) / max(seconds) AS throughput FROM perfopt.test_slot WHERE run_id = 7 GROUP BY 1, 2 ORDER BY 1, 2;';
COMMENT ON COLUMN perfopt.test_slot.pair IS 'Slots of the same number stood next to each other.';
COMMENT ON COLUMN perfopt.test_slot.seconds IS 'How long the slot was measured.';
COMMENT ON COLUMN perfopt.test_slot.calls IS 'Calls that the slot counts, errors included.';
COMMENT ON COLUMN perfopt.test_slot.latency IS 'Response times in ms of calls without error.';

SELECT pg_catalog.pg_extension_config_dump('perfopt.test_slot', '');
