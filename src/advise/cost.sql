-- What a recommendation costs and saves, by the user's own prices.

CREATE TABLE perfopt.cost_rate (
  resource text PRIMARY KEY CHECK (resource IN ('vcpu', 'memory_gb', 'storage_gb', 'iops', 'work_hour')),
  price numeric NOT NULL CHECK (price >= 0),
  currency text NOT NULL CHECK (currency <> ''),
  note text
);
COMMENT ON TABLE perfopt.cost_rate IS
  'Your own prices, all in one currency: vcpu, memory_gb, storage_gb (GB are 2^30 bytes) and iops (one I/O operation a second) for a month, work_hour for an hour of work. Empty as installed: nothing about money is invented. Example: INSERT INTO perfopt.cost_rate (resource, price, currency) VALUES (''vcpu'', 25, ''EUR''), (''memory_gb'', 3.5, ''EUR''), (''storage_gb'', 0.12, ''EUR''), (''iops'', 0.005, ''EUR''), (''work_hour'', 90, ''EUR'');';
COMMENT ON COLUMN perfopt.cost_rate.price IS 'For a month of one; of work, for an hour.';

CREATE FUNCTION perfopt.check_currency() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (SELECT count(DISTINCT r.currency) FROM perfopt.cost_rate r) > 1 THEN
    RAISE EXCEPTION 'cost rates must be in one currency, not %', (SELECT string_agg(DISTINCT r.currency, ' and ') FROM perfopt.cost_rate r)
      USING ERRCODE = 'check_violation', HINT = 'Convert them; to change the currency, change all rows in one statement.';
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION perfopt.check_currency() IS 'Keeps perfopt.cost_rate in one currency; its trigger calls it.';
CREATE TRIGGER check_currency AFTER INSERT OR UPDATE ON perfopt.cost_rate
  FOR EACH STATEMENT EXECUTE FUNCTION perfopt.check_currency();
SELECT pg_catalog.pg_extension_config_dump('perfopt.cost_rate', '');

-- Money is numeric, so that cents are cents. The discount rate is a year's; a month's is its twelfth root, and
-- savings come at the end of each month.
CREATE FUNCTION perfopt.investment(
  saving_month numeric, one_off numeric, discount_pct numeric DEFAULT 8,
  OUT payback_months numeric, OUT return_12_pct numeric, OUT return_36_pct numeric, OUT npv_36 numeric)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN saving_month > 0 THEN round(one_off / saving_month, 1) END,
         CASE WHEN one_off > 0 THEN round(100 * (12 * saving_month - one_off) / one_off, 1) END,
         CASE WHEN one_off > 0 THEN round(100 * (36 * saving_month - one_off) / one_off, 1) END,
         round((SELECT sum(saving_month / power(1 + discount_pct / 100, m / 12.0)) FROM generate_series(1, 36) m) - one_off, 2)
$$;
COMMENT ON FUNCTION perfopt.investment(numeric, numeric, numeric) IS
  'Whether something pays that costs one_off now and saves saving_month each month: months until it has paid for itself (NULL: never), return over 12 and 36 months in percent of one_off, and the net present value of 36 months at discount_pct percent a year (default 8). Example: SELECT * FROM perfopt.investment(100, 900);';

CREATE FUNCTION perfopt.cost_analysis(
  recommendation_id bigint, discount_pct numeric DEFAULT 8,
  OUT currency text, OUT cost_now numeric, OUT cost_after numeric, OUT saving_month numeric, OUT one_off numeric,
  OUT payback_months numeric, OUT return_12_pct numeric, OUT return_36_pct numeric, OUT npv_36 numeric, OUT discount_rate_pct numeric,
  OUT basis jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  done perfopt.analysis;
  rate jsonb := (SELECT jsonb_object_agg(r.resource, r.price) FROM perfopt.cost_rate r);
  cores numeric;
  cores_after numeric;
  memory_gb numeric;
  storage_gb numeric;
  iops numeric;
BEGIN
  IF discount_pct IS NULL OR discount_pct <= -100 THEN
    RAISE EXCEPTION 'a discount rate of % percent a year makes no sense', coalesce(discount_pct::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example 8, which is the default.';
  END IF;
  SELECT a.* INTO STRICT done FROM perfopt.analysis a WHERE a.analysis_id = advice.analysis_id;
  SELECT avg(s.value) FILTER (WHERE s.metric = 'node_memory_total_bytes') / 1024 ^ 3 INTO memory_gb
    FROM perfopt.sample s WHERE s.ts > done.since AND s.ts <= done.until AND s.metric = 'node_memory_total_bytes';
  -- All databases at each moment; what is not in the database costs the same before and after.
  SELECT avg(t.bytes) / 1024 ^ 3 INTO storage_gb
    FROM (SELECT sum(s.value) AS bytes FROM perfopt.sample s
          WHERE s.ts > done.since AND s.ts <= done.until AND s.metric = 'pg_database_size_bytes' GROUP BY s.ts) t;
  SELECT sum(s.value) / nullif(extract(epoch FROM done.until - done.since), 0) INTO iops
    FROM perfopt.sample s
    WHERE s.ts > done.since AND s.ts <= done.until AND s.metric IN ('node_disk_reads_total', 'node_disk_writes_total');
  cores := done.cores::numeric;
  cores_after := CASE
    WHEN advice.finding = 'cpu_saturation' AND advice.title ~ '^Give the server [0-9]+ cores$'
      THEN substring(advice.title FROM '[0-9]+')::numeric
    -- Work that is gone needs no processor, as far as it is likely to go.
    ELSE cores * (1 - coalesce(advice.impact_pct::numeric, 0) / 100 * advice.confidence::numeric) END;

  currency := (SELECT min(r.currency) FROM perfopt.cost_rate r);
  -- A price or figure that is missing leaves out what it would count, and basis says so; without the price of a
  -- vcpu nothing can be said.
  cost_now := round(cores * (rate ->> 'vcpu')::numeric
                    + coalesce(memory_gb * (rate ->> 'memory_gb')::numeric, 0) + coalesce(storage_gb * (rate ->> 'storage_gb')::numeric, 0)
                    + coalesce(iops * (rate ->> 'iops')::numeric, 0), 2);
  cost_after := cost_now - round((cores - cores_after) * (rate ->> 'vcpu')::numeric, 2);
  saving_month := cost_now - cost_after;
  one_off := round(advice.effort_hours::numeric * (rate ->> 'work_hour')::numeric, 2);
  discount_rate_pct := CASE WHEN rate IS NOT NULL THEN discount_pct END;
  SELECT i.payback_months, i.return_12_pct, i.return_36_pct, i.npv_36
    INTO payback_months, return_12_pct, return_36_pct, npv_36
    FROM perfopt.investment(saving_month, one_off, discount_pct) i;
  basis := jsonb_build_object('cores', cores, 'cores_after', round(cores_after, 3), 'memory_gb', round(memory_gb, 3),
    'storage_gb', round(storage_gb, 3), 'iops', round(iops, 1), 'effort_hours', advice.effort_hours,
    'left_out', (SELECT coalesce(jsonb_agg(x.name), '[]') FROM (VALUES ('vcpu', cores), ('memory_gb', memory_gb),
       ('storage_gb', storage_gb), ('iops', iops), ('work_hour', advice.effort_hours::numeric)) x (name, value)
       WHERE x.value IS NULL OR rate IS NULL OR NOT rate ? x.name),
    'note', 'a saving is money once the server is made smaller by what is freed');
END $$;
COMMENT ON FUNCTION perfopt.cost_analysis(bigint, numeric) IS
  'What a recommendation costs and saves by the prices in perfopt.cost_rate, money rounded to cents: cost of the server a month now and after, saving_month, one_off (work), payback in months, return over 12 and 36 months in percent of one_off, net present value of 36 months at discount_pct percent a year (default 8). Figures are those of its analysis'' window; the processors that it frees are cores * impact_pct * confidence, and worth money once the server is made smaller by them. basis has the figures, and what was left out for lack of a price or a metric. Without prices everything about money is NULL. Example: SELECT cost_now, cost_after, saving_month, payback_months FROM perfopt.cost_analysis(1);';
