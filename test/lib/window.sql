-- For tests of diagnosis and advice, inside a transaction: samples written by hand into 2020-01-01, where no
-- collector writes. A window is one minute of six cycles with 100 looks each.
CREATE ROLE regress_app;
CREATE ROLE regress_idler;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['active_session_hot', 'blocking'] LOOP
    EXECUTE format('CREATE TABLE perfopt.%I (LIKE perfopt.%I INCLUDING DEFAULTS)', t || '_test', t);
    EXECUTE format($f$ALTER TABLE perfopt.%I ATTACH PARTITION perfopt.%I
                      FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')$f$, t, t || '_test');
  END LOOP;
END $$;

-- Each row of `seen`: query id, wait class, wait event, times seen a cycle (one more in every other).
CREATE FUNCTION pg_temp.sessions(start timestamptz, seen jsonb) RETURNS void LANGUAGE sql AS $$
  INSERT INTO perfopt.active_session_hot
  SELECT start + i * interval '10 s', 100,
         array_agg((SELECT oid FROM pg_database WHERE datname = current_database())),
         array_agg((SELECT oid FROM pg_roles WHERE rolname = 'regress_app')),
         array_agg((s->>0)::bigint), array_agg(0), array_agg(s->>1), array_agg(s->>2),
         array_agg((s->>3)::int + i % 2)
  FROM generate_series(1, 6) i, jsonb_array_elements(seen) s
  GROUP BY i
$$;
CREATE FUNCTION pg_temp.metric(start timestamptz, name text, labels jsonb, value float8) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO perfopt.metric (name, dimension, kind, unit, help)
    VALUES (name, 'system', CASE WHEN name LIKE '%\_total' THEN 'counter' ELSE 'gauge' END, 'u', 'test')
    ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.series (metric_id, labels)
    SELECT m.metric_id, labels FROM perfopt.metric m WHERE m.name = metric.name ON CONFLICT DO NOTHING;
  INSERT INTO perfopt.sample_hot (ts, writer, elapsed_s, series, value)
    SELECT start + i * interval '10 s', 'test', 10, ARRAY[s.series_id], ARRAY[value]
    FROM generate_series(1, 6) i, perfopt.series s JOIN perfopt.metric m USING (metric_id)
    WHERE m.name = metric.name AND s.labels = metric.labels
$$;
CREATE FUNCTION pg_temp.blocker(start timestamptz, cycle int, pid int, who text, state text,
                                state_s float8, waiters int, locktype text DEFAULT 'transactionid',
                                mode text DEFAULT 'ShareLock') RETURNS void LANGUAGE sql AS $$
  INSERT INTO perfopt.blocking
  SELECT start + cycle * interval '10 s', pid, d.oid, r.oid, state, 77, state_s + 1, state_s,
         'perfopt.metric'::regclass, locktype, mode, waiters, 8
  FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = who
$$;
CREATE FUNCTION pg_temp.machine(start timestamptz) RETURNS void LANGUAGE sql AS $$
  SELECT pg_temp.metric(start, 'node_cpu_count', '{}', 4);
  SELECT pg_temp.metric(start, 'node_memory_total_bytes', '{}', 16 * 1024.0 ^ 3);
$$;
CREATE FUNCTION pg_temp.found(start timestamptz,
  OUT category text, OUT finding text, OUT severity text, OUT impact float8, OUT low float8, OUT high float8,
  OUT aas float8, OUT seconds float8, OUT entity text, OUT root_cause text, OUT factors jsonb)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT category, finding, severity, impact_pct, impact_low_pct, impact_high_pct, aas, seconds, entity,
         root_cause, factors
  FROM perfopt.bottlenecks('1 min', start + interval '1 min')
  WHERE finding <> 'missing_input' -- depends on what this server has
$$;
