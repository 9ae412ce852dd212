-- Did it work? What the server did after a change, beside what it did before.

CREATE TABLE perfopt.measurement (
  measurement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recommendation_id bigint NOT NULL REFERENCES perfopt.recommendation ON DELETE CASCADE,
  kind text NOT NULL DEFAULT 'impact' CHECK (kind IN ('impact', 'proof')),
  run_id bigint,
  measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  measured_by text NOT NULL,
  changed_at timestamptz NOT NULL,
  length interval NOT NULL,
  windows_before int NOT NULL,
  before_ms float8,
  after_ms float8,
  change_pct float8,
  low_pct float8,
  high_pct float8,
  p_value float8,
  predicted_pct float8,
  state text NOT NULL CHECK (state IN ('verified', 'no_effect', 'regressed', 'inconclusive'))
);
CREATE INDEX measurement_recommendation_id_idx ON perfopt.measurement (recommendation_id);
COMMENT ON TABLE perfopt.measurement IS
  'What perfopt.measure_impact (kind impact) and perfopt.prove_recommendation (kind proof) found: ms per transaction before and after a change; of production DB time per commit, of a load test a user''s time per call. Example: SELECT changed_at, before_ms, after_ms, change_pct, low_pct, high_pct, predicted_pct, state FROM perfopt.measurement ORDER BY measurement_id DESC LIMIT 5;';
COMMENT ON COLUMN perfopt.measurement.run_id IS 'The A/B test of a proof.';
COMMENT ON COLUMN perfopt.measurement.changed_at IS 'When the recommendation was implemented, or the A/B test began.';
COMMENT ON COLUMN perfopt.measurement.length IS 'Of the window after the change, and of each window before it; or of the A/B test.';
COMMENT ON COLUMN perfopt.measurement.windows_before IS 'Windows before the change, or pairs of slots of the A/B test.';
COMMENT ON COLUMN perfopt.measurement.change_pct IS 'Percent of before_ms; less is better. low_pct to high_pct is its 95 % interval.';
COMMENT ON COLUMN perfopt.measurement.predicted_pct IS 'The change that the recommendation promised, -impact_pct.';

SELECT pg_catalog.pg_extension_config_dump('perfopt.measurement', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.measurement_measurement_id_seq', '');

CREATE FUNCTION perfopt.judge_change(
  before float8[], after float8[], margin_pct float8 DEFAULT 5,
  OUT change_pct float8, OUT low_pct float8, OUT high_pct float8, OUT p_value float8, OUT state text)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'perfopt_judge_change';
COMMENT ON FUNCTION perfopt.judge_change(float8[], float8[], float8) IS
  'How values of which less is better changed, by the prediction interval (95 %) of the mean of the later ones, given the earlier ones and how much those differ from each other (Student''s t of logarithms). state: verified, the interval is below -margin_pct (percent, default 5); regressed, it is above; no_effect, it is within; else inconclusive, always with fewer than two earlier values. Example: SELECT * FROM perfopt.judge_change(''{10,11,10,9,10}'', ''{6}'');';

CREATE FUNCTION perfopt.time_per_commit(since timestamptz, until timestamptz) RETURNS float8
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
  SELECT 1000 * a.aas * extract(epoch FROM until - since)::float8 / nullif(c.commits, 0)
  FROM (SELECT avg(h.aas) AS aas
        FROM (SELECT s.ts, sum(u.n) FILTER (WHERE u.role <> 0)::float8 / max(s.ticks) AS aas
              FROM perfopt.active_session_hot s CROSS JOIN LATERAL unnest(s.role, s.n) u (role, n)
              WHERE s.ts > time_per_commit.since AND s.ts <= time_per_commit.until GROUP BY s.ts) h) a,
       (SELECT sum(m.value) AS commits FROM perfopt.sample m
        WHERE m.metric = 'pg_xact_commit_total' AND m.ts > time_per_commit.since AND m.ts <= time_per_commit.until) c
$$;
COMMENT ON FUNCTION perfopt.time_per_commit(timestamptz, timestamptz) IS
  'DB time (CPU and waits of user sessions, ms) per committed transaction, NULL when one of the two is not known. Example: SELECT perfopt.time_per_commit(now() - interval ''1 hour'', now());';

CREATE FUNCTION perfopt.measure_impact(
  recommendation_id bigint, until timestamptz DEFAULT now(), longest interval DEFAULT '1 day', margin_pct float8 DEFAULT 5)
RETURNS perfopt.measurement
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  windows CONSTANT int := 12;
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  changed timestamptz;
  length interval;
  before float8[];
  after float8;
  judged record;
  made perfopt.measurement;
BEGIN
  SELECT max(h.changed_at) INTO changed FROM perfopt.recommendation_history h
    WHERE h.recommendation_id = $1 AND h.to_state = 'implemented';
  IF changed IS NULL OR advice.state NOT IN ('implemented', 'verified', 'no_effect', 'regressed', 'inconclusive') THEN
    RAISE EXCEPTION 'recommendation % is %, so it has no impact to measure', $1, advice.state
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'apply_recommendation(), or mark_implemented() when it was carried out by hand.';
  END IF;
  length := least(until - changed, longest);
  IF length IS NULL OR length < interval '1 min' THEN
    RAISE EXCEPTION 'recommendation % was implemented at %, too shortly before %', $1, changed, until
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Wait until it has had an hour or more of usual load.';
  END IF;
  after := perfopt.time_per_commit(changed, changed + length);
  -- Of the same length, so that they differ from each other as much as two such windows do without any change.
  before := ARRAY(SELECT t FROM generate_series(1, windows) i, perfopt.time_per_commit(changed - i * length, changed - (i - 1) * length) t
                  WHERE t > 0);
  SELECT * INTO judged FROM perfopt.judge_change(before, CASE WHEN after > 0 THEN ARRAY[after] ELSE '{}'::float8[] END, margin_pct);
  INSERT INTO perfopt.measurement AS m (recommendation_id, measured_by, changed_at, length, windows_before, before_ms, after_ms, change_pct,
                                        low_pct, high_pct, p_value, predicted_pct, state)
    SELECT $1, perfopt.caller(), changed, length, cardinality(before), (SELECT exp(avg(ln(b))) FROM unnest(before) b), after,
           judged.change_pct, judged.low_pct, judged.high_pct, judged.p_value, -advice.impact_pct, judged.state
    RETURNING m.* INTO made;
  IF judged.state <> advice.state THEN
    PERFORM perfopt.set_recommendation_state($1, judged.state, perfopt.caller(), NULL);
    IF judged.state = 'regressed' THEN
      PERFORM perfopt.raise_event('regression', NULL, NULL, NULL, 'warning', NULL, judged.change_pct, margin_pct, NULL,
        format('recommendation %s made transactions %s %% slower; SELECT * FROM perfopt.revert_recommendation(%s) undoes it', $1,
               round(judged.change_pct::numeric, 1), $1), to_jsonb(made), true);
    END IF;
  END IF;
  RETURN made;
END $$;
COMMENT ON FUNCTION perfopt.measure_impact(bigint, timestamptz, interval, float8) IS
  'Whether an implemented recommendation worked: DB time per committed transaction (ms) from then until `until` (default now, for longest at most, default 1 day) beside up to 12 windows of the same length before it, whose differences are the server''s own noise (perfopt.judge_change). The recommendation becomes verified, no_effect (within margin_pct, default 5), regressed, which raises an event that offers the revert, or inconclusive, as with fewer than two windows before. The mix of transactions must have stayed alike. Example: SELECT change_pct, low_pct, high_pct, predicted_pct, state FROM perfopt.measure_impact(1);';

CREATE FUNCTION perfopt.prediction_accuracy(
  OUT recommendation_id bigint, OUT finding text, OUT title text, OUT measured_at timestamptz, OUT predicted_pct float8,
  OUT measured_pct float8, OUT low_pct float8, OUT high_pct float8, OUT error_pct float8, OUT within_20_pct boolean, OUT state text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT ON (m.recommendation_id) m.recommendation_id, r.finding, r.title, m.measured_at, m.predicted_pct, m.change_pct,
         m.low_pct, m.high_pct, 100 * (m.change_pct - m.predicted_pct) / nullif(abs(m.predicted_pct), 0),
         abs(m.change_pct - m.predicted_pct) <= 0.2 * abs(m.predicted_pct), m.state
  FROM perfopt.measurement m JOIN perfopt.recommendation r USING (recommendation_id)
  ORDER BY m.recommendation_id, m.measurement_id DESC
$$;
COMMENT ON FUNCTION perfopt.prediction_accuracy() IS
  'Predicted beside measured change of DB time per transaction (percent), by the latest measurement of each recommendation that was proven or applied here; error_pct is the difference in percent of the prediction, within_20_pct whether it is no more than 20. Example: SELECT finding, predicted_pct, measured_pct, within_20_pct FROM perfopt.prediction_accuracy();';
