CREATE TABLE perfopt.analysis (
  analysis_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  analyzed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  analyzed_by text NOT NULL,
  since timestamptz NOT NULL,
  until timestamptz NOT NULL,
  covered_seconds float8 NOT NULL,
  aas float8 NOT NULL,
  db_seconds float8 NOT NULL,
  samples bigint NOT NULL,
  cores float8 NOT NULL,
  server_version text NOT NULL,
  perfopt_version text NOT NULL
);
COMMENT ON TABLE perfopt.analysis IS
  'Each run of perfopt.analyze(): its window (since, until), the seconds of it that sampling covers, and the DB time found there as average active sessions and in seconds. Example: SELECT * FROM perfopt.analysis ORDER BY analysis_id DESC LIMIT 5;';
COMMENT ON COLUMN perfopt.analysis.analyzed_by IS 'Role that called perfopt.analyze().';
COMMENT ON COLUMN perfopt.analysis.samples IS 'Sightings of sessions that the shares rest on.';

CREATE TABLE perfopt.bottleneck (
  analysis_id bigint NOT NULL REFERENCES perfopt.analysis ON DELETE CASCADE,
  rank int NOT NULL,
  category text NOT NULL
    CHECK (category IN ('cpu', 'memory', 'disk', 'network', 'database', 'cache', 'external')),
  finding text NOT NULL,
  severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  impact_pct float8,
  impact_low_pct float8,
  impact_high_pct float8,
  aas float8,
  seconds float8,
  entity text NOT NULL,
  root_cause text NOT NULL,
  factors jsonb NOT NULL,
  evidence jsonb NOT NULL,
  lineage text NOT NULL,
  PRIMARY KEY (analysis_id, rank)
);
COMMENT ON TABLE perfopt.bottleneck IS
  'What each analysis found; the columns of perfopt.bottlenecks(), rank 1 worst. Texts of statements are not kept. Example: SELECT finding, count(*) FROM perfopt.bottleneck GROUP BY 1;';

CREATE TABLE perfopt.recommendation (
  recommendation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  analysis_id bigint NOT NULL REFERENCES perfopt.analysis ON DELETE CASCADE,
  rank int NOT NULL,
  category text NOT NULL,
  finding text NOT NULL,
  title text NOT NULL,
  action_sql text NOT NULL,
  revert_sql text NOT NULL,
  impact_pct float8,
  effort_hours float8 NOT NULL,
  risk text NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  confidence float8 NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  state text NOT NULL DEFAULT 'proposed'
    CHECK (state IN ('proposed', 'accepted', 'implemented', 'verified', 'no_effect', 'regressed',
                     'inconclusive', 'dismissed', 'reverted')),
  entity text NOT NULL,
  rationale text NOT NULL,
  score float8 NOT NULL,
  state_changed_at timestamptz,
  state_changed_by text,
  note text
);
CREATE INDEX recommendation_analysis_id_idx ON perfopt.recommendation (analysis_id, rank);
COMMENT ON TABLE perfopt.recommendation IS
  'What to do about the findings of each analysis, rank 1 first. Example: SELECT rank, title, action_sql FROM perfopt.recommendations();';
COMMENT ON COLUMN perfopt.recommendation.action_sql IS
  'SQL to run; a comment where the step lies outside the database. Only perfopt.apply_recommendation runs it.';
COMMENT ON COLUMN perfopt.recommendation.revert_sql IS 'SQL that undoes action_sql.';
COMMENT ON COLUMN perfopt.recommendation.impact_pct IS
  'Share of DB time (percent) that would go if the finding were solved; NULL for availability.';
COMMENT ON COLUMN perfopt.recommendation.effort_hours IS 'Hours of work, estimated.';
COMMENT ON COLUMN perfopt.recommendation.confidence IS
  'How likely (0 to 1) this step gives that impact.';
COMMENT ON COLUMN perfopt.recommendation.rationale IS 'Why, with the arithmetic, and what it costs.';
COMMENT ON COLUMN perfopt.recommendation.score IS
  'benefit * confidence * safety / (1 + effort_hours / 8): benefit is impact_pct (without one: critical 50, warning 10, info 2), safety is 1 for low, 0.75 for medium and 0.4 for high risk.';

SELECT pg_catalog.pg_extension_config_dump('perfopt.analysis', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.bottleneck', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.recommendation', '');
-- Or what is restored would be in the way of the next analysis.
SELECT pg_catalog.pg_extension_config_dump('perfopt.analysis_analysis_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.recommendation_recommendation_id_seq', '');

-- Runs as its caller, who is noted; the C code takes the owner's rights.
CREATE FUNCTION perfopt.analyze(since interval DEFAULT '15 min', until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_analyze';
COMMENT ON FUNCTION perfopt.analyze(interval, timestamptz) IS
  'Diagnoses the window of length `since` (default 15 min) that ends at `until` (default: now), stores bottlenecks and recommendations, and returns the analysis_id. Example: SELECT * FROM perfopt.recommendations(perfopt.analyze(''5 min''));';

-- Volatile, so that it sees what analyze() stored in the same statement.
CREATE FUNCTION perfopt.recommendations(analysis_id bigint DEFAULT NULL)
RETURNS SETOF perfopt.recommendation
LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked bigint := coalesce($1, (SELECT max(a.analysis_id) FROM perfopt.analysis a));
BEGIN
  IF asked IS NULL THEN
    RAISE NOTICE 'there is no analysis yet'
      USING HINT = 'SELECT perfopt.analyze(); makes one of the last 15 minutes.';
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM perfopt.analysis a WHERE a.analysis_id = asked) THEN
    RAISE EXCEPTION 'analysis % does not exist', asked
      USING ERRCODE = 'undefined_object',
            HINT = 'SELECT analysis_id, analyzed_at FROM perfopt.analysis lists them.';
  END IF;
  RETURN QUERY
    SELECT r.* FROM perfopt.recommendation r
    WHERE r.analysis_id = asked
      -- what somebody has created since is not advised any more
      AND NOT (r.state IN ('proposed', 'accepted') AND perfopt.existing_index(r.action_sql) IS NOT NULL)
    ORDER BY r.rank;
  IF NOT FOUND THEN
    RAISE NOTICE 'analysis % found nothing to improve', asked;
  END IF;
END $$;
COMMENT ON FUNCTION perfopt.recommendations(bigint) IS
  'The recommendations of an analysis (default: the latest), best first; without those to create an index that is there by now. Example: SELECT rank, title, impact_pct, action_sql, revert_sql FROM perfopt.recommendations();';

CREATE FUNCTION perfopt.accept_recommendation(recommendation_id bigint, note text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_accept_recommendation';
COMMENT ON FUNCTION perfopt.accept_recommendation(bigint, text) IS
  'Marks a recommendation as accepted, with who did it and a note; it runs nothing. Example: SELECT perfopt.accept_recommendation(1, ''next window'');';

CREATE FUNCTION perfopt.dismiss_recommendation(recommendation_id bigint, note text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'perfopt_dismiss_recommendation';
COMMENT ON FUNCTION perfopt.dismiss_recommendation(bigint, text) IS
  'Marks a recommendation as dismissed, with who did it and why. Example: SELECT perfopt.dismiss_recommendation(2, ''cache is being retired'');';
