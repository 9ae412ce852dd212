-- From advice to change: states with their history, and applying and reverting by a worker.

CREATE TABLE perfopt.recommendation_history (
  history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recommendation_id bigint NOT NULL REFERENCES perfopt.recommendation ON DELETE CASCADE,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_by text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  note text
);
CREATE INDEX recommendation_history_recommendation_id_idx ON perfopt.recommendation_history (recommendation_id, changed_at);
COMMENT ON TABLE perfopt.recommendation_history IS
  'Every change of a recommendation''s state: when, by whom, from and to which. A trigger on perfopt.recommendation writes it. Example: SELECT changed_at, changed_by, from_state, to_state, note FROM perfopt.recommendation_history WHERE recommendation_id = 1 ORDER BY history_id;';

CREATE TABLE perfopt.application (
  application_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recommendation_id bigint NOT NULL REFERENCES perfopt.recommendation ON DELETE CASCADE,
  undo boolean NOT NULL,
  sql text NOT NULL,
  revert_sql text NOT NULL,
  lock_timeout_ms int NOT NULL,
  state text NOT NULL DEFAULT 'ordered' CHECK (state IN ('ordered', 'running', 'done', 'failed')),
  statements_done int NOT NULL DEFAULT 0,
  error text,
  ordered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ordered_by text NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  pid int,
  index_was_there boolean
);
CREATE INDEX application_recommendation_id_idx ON perfopt.application (recommendation_id);
COMMENT ON TABLE perfopt.application IS
  'What perfopt.apply_recommendation and perfopt.revert_recommendation had a worker run, for whom, and what came of it. Example: SELECT state, statements_done, error, finished_at - started_at AS took FROM perfopt.application ORDER BY application_id DESC LIMIT 5;';
COMMENT ON COLUMN perfopt.application.undo IS 'It reverts.';
COMMENT ON COLUMN perfopt.application.revert_sql IS 'What undoes it, kept as it was then.';
COMMENT ON COLUMN perfopt.application.lock_timeout_ms IS 'How long each statement waited for a lock at most, in ms; 0 is for ever.';
COMMENT ON COLUMN perfopt.application.state IS
  'ordered until the transaction that asked has committed, running, done or failed.';
COMMENT ON COLUMN perfopt.application.pid IS 'Process of the worker; pg_stat_progress_create_index shows how far an index is.';
COMMENT ON COLUMN perfopt.application.index_was_there IS 'Before it began there was an index of that name, which is not its to clean up.';

SELECT pg_catalog.pg_extension_config_dump('perfopt.recommendation_history', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.recommendation_history_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.application', '');
SELECT pg_catalog.pg_extension_config_dump('perfopt.application_application_id_seq', '');

CREATE FUNCTION perfopt.can_become(from_state text, to_state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT to_state = ANY (CASE from_state
    WHEN 'proposed' THEN '{accepted,dismissed,implemented,verified,no_effect,regressed,inconclusive}'
    WHEN 'accepted' THEN '{dismissed,implemented,verified,no_effect,regressed,inconclusive}'
    WHEN 'dismissed' THEN '{accepted}'
    WHEN 'implemented' THEN '{verified,no_effect,regressed,inconclusive,reverted}'
    WHEN 'reverted' THEN '{accepted,dismissed,implemented,verified,no_effect,regressed,inconclusive}'
    -- judged, by a proof before it is applied or by measuring after
    ELSE '{accepted,dismissed,implemented,verified,no_effect,regressed,inconclusive,reverted}'
  END::text[]) AND from_state <> to_state
$$;
COMMENT ON FUNCTION perfopt.can_become(text, text) IS
  'Whether a recommendation may go from one state to another; the trigger of perfopt.recommendation asks. Example: SELECT perfopt.can_become(''proposed'', ''accepted'');';

CREATE FUNCTION perfopt.note_state() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- What was verified after it was applied is there, unlike what a proof verified.
  IF NOT perfopt.can_become(OLD.state, NEW.state)
     OR NEW.state IN ('accepted', 'dismissed', 'implemented') AND perfopt.is_applied(NEW.recommendation_id) THEN
    RAISE EXCEPTION 'recommendation % is % and can''t become %', NEW.recommendation_id, OLD.state, NEW.state
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('How it came there: SELECT * FROM perfopt.recommendation_history WHERE recommendation_id = %s;', NEW.recommendation_id);
  END IF;
  IF EXISTS (SELECT FROM perfopt.application a WHERE a.recommendation_id = NEW.recommendation_id AND a.state IN ('ordered', 'running')) THEN
    RAISE EXCEPTION 'recommendation % is being worked on and can''t become % now', NEW.recommendation_id, NEW.state
      USING ERRCODE = 'object_in_use',
            HINT = format('SELECT * FROM perfopt.application WHERE recommendation_id = %s; and perfopt.settle_applications() if its worker is gone.', NEW.recommendation_id);
  END IF;
  INSERT INTO perfopt.recommendation_history (recommendation_id, changed_by, from_state, to_state, note)
    VALUES (NEW.recommendation_id, coalesce(NEW.state_changed_by, perfopt.caller()), OLD.state, NEW.state, NEW.note);
  RETURN NULL;
END $$;
COMMENT ON FUNCTION perfopt.note_state() IS
  'Refuses changes of state that make no sense, and writes perfopt.recommendation_history; a trigger of perfopt.recommendation calls it.';
CREATE TRIGGER note_state AFTER UPDATE OF state ON perfopt.recommendation
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION perfopt.note_state();

CREATE FUNCTION perfopt.checked_recommendation(recommendation_id bigint) RETURNS perfopt.recommendation
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found_one perfopt.recommendation;
BEGIN
  SELECT r.* INTO found_one FROM perfopt.recommendation r WHERE r.recommendation_id = $1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'recommendation % does not exist', coalesce($1::text, 'NULL')
      USING ERRCODE = 'undefined_object',
            HINT = 'SELECT recommendation_id, title FROM perfopt.recommendations() lists those of the latest analysis.';
  END IF;
  RETURN found_one;
END $$;
COMMENT ON FUNCTION perfopt.checked_recommendation(bigint) IS
  'The row of a recommendation, or an error with a hint. Example: SELECT state FROM perfopt.checked_recommendation(1);';

CREATE FUNCTION perfopt.is_applied(recommendation_id bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce((SELECT h.to_state = 'implemented' FROM perfopt.recommendation_history h
                   WHERE h.recommendation_id = $1 AND h.to_state IN ('implemented', 'reverted') ORDER BY h.history_id DESC LIMIT 1), false)
$$;
COMMENT ON FUNCTION perfopt.is_applied(bigint) IS
  'Whether a recommendation was implemented and not reverted since; its state may say what came of it instead. Example: SELECT title FROM perfopt.recommendations() WHERE perfopt.is_applied(recommendation_id);';

-- In the owner's hands alone: others come here through functions that say what they do.
CREATE FUNCTION perfopt.set_recommendation_state(recommendation_id bigint, state text, who text, note text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE perfopt.recommendation r
  SET state = $2, state_changed_at = clock_timestamp(), state_changed_by = $3, note = coalesce($4, r.note)
  WHERE r.recommendation_id = $1;
END $$;
COMMENT ON FUNCTION perfopt.set_recommendation_state(bigint, text, text, text) IS
  'Moves a recommendation to a state, with who did it and a note. For perfopt''s own use. Example: SELECT perfopt.set_recommendation_state(1, ''implemented'', ''dba'', NULL);';

CREATE FUNCTION perfopt.mark_implemented(recommendation_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM perfopt.checked_recommendation($1);
  PERFORM perfopt.set_recommendation_state($1, 'implemented', perfopt.caller(), $2);
END $$;
COMMENT ON FUNCTION perfopt.mark_implemented(bigint, text) IS
  'Says that a recommendation was carried out by hand, just now, as with steps outside the database; perfopt.measure_impact then compares before and after. Example: SELECT perfopt.mark_implemented(3, ''pgbouncer since 10:00'');';

CREATE FUNCTION perfopt.action_statements(
  sql text, OUT step int, OUT command text, OUT sql text, OUT concurrent boolean, OUT index_name text,
  OUT table_name text, OUT key_columns text[], OUT setting text, OUT value text)
RETURNS SETOF record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'perfopt_action_statements';
COMMENT ON FUNCTION perfopt.action_statements(text) IS
  'The statements of an action by the server''s grammar, without running them: the command, and of an index its name, table and key columns (NULL when it is unique, partial or has expressions, operator classes or collations), of ALTER SYSTEM, ROLE and DATABASE the setting and its value. Comments are no statements. Example: SELECT step, command, setting, value FROM perfopt.action_statements(''ALTER SYSTEM SET work_mem = ''''64MB''''; SELECT pg_reload_conf()'');';

CREATE FUNCTION perfopt.is_applicable(sql text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(bool_or(s.command <> 'SELECT'), false) FROM perfopt.action_statements($1) s
$$;
COMMENT ON FUNCTION perfopt.is_applicable(text) IS
  'Whether an action changes something by SQL; others only look, or are steps outside the database. Example: SELECT title FROM perfopt.recommendations() WHERE perfopt.is_applicable(action_sql);';

-- Catalogues only, so no lock on the table is waited for.
CREATE FUNCTION perfopt.existing_index(action_sql text) RETURNS regclass
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
  SELECT i.indexrelid::regclass
  FROM perfopt.action_statements($1) s
  JOIN pg_index i ON i.indrelid = to_regclass(s.table_name)
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
  WHERE s.command = 'CREATE INDEX' AND s.key_columns IS NOT NULL
    AND i.indisvalid AND i.indpred IS NULL
    AND s.key_columns = ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, nr)
                              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                              WHERE k.nr <= least(i.indnkeyatts, cardinality(s.key_columns)) ORDER BY k.nr)
  ORDER BY i.indexrelid LIMIT 1
$$;
COMMENT ON FUNCTION perfopt.existing_index(text) IS
  'A valid index that begins with the columns of the one that an action would create, NULL if there is none: then the action is of use. Example: SELECT title, perfopt.existing_index(action_sql) FROM perfopt.recommendation;';

CREATE FUNCTION perfopt.locks_of(command text, concurrent boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN command IN ('CREATE INDEX', 'DROP INDEX') AND concurrent
      THEN 'SHARE UPDATE EXCLUSIVE on the table: reads and writes go on; waits for transactions that run'
    WHEN command = 'CREATE INDEX' THEN 'SHARE on the table: writes wait'
    WHEN command = 'DROP INDEX' THEN 'ACCESS EXCLUSIVE on the table: reads and writes wait, briefly'
    WHEN command = 'ALTER TABLE' THEN 'on the table, at most ACCESS EXCLUSIVE; SHARE UPDATE EXCLUSIVE for storage parameters'
    WHEN command IN ('ALTER SYSTEM', 'ALTER ROLE', 'ALTER DATABASE', 'SELECT') THEN 'none that others wait for'
    ELSE 'see the manual of ' || command END
$$;
COMMENT ON FUNCTION perfopt.locks_of(text, boolean) IS
  'Which locks a command takes that others may wait for, in words. Example: SELECT perfopt.locks_of(''CREATE INDEX'', true);';

CREATE FUNCTION perfopt.describe_action(
  sql text, OUT step int, OUT statement text, OUT locks text, OUT takes_effect text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT ROWS 2 SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.step, s.sql, perfopt.locks_of(s.command, s.concurrent),
         CASE WHEN s.command IN ('ALTER ROLE', 'ALTER DATABASE') THEN 'for new sessions'
              WHEN s.command = 'ALTER SYSTEM' AND g.context = 'postmaster' THEN 'when the server is restarted'
              WHEN s.command = 'ALTER SYSTEM' THEN 'when the configuration is reloaded'
              ELSE 'at once' END
  FROM perfopt.action_statements($1) s LEFT JOIN pg_settings g ON g.name = s.setting
  UNION ALL
  -- Comments alone: a step for people.
  SELECT 1, $1, 'none: a step outside the database', 'when it is done'
  WHERE NOT EXISTS (SELECT FROM perfopt.action_statements($1))
  ORDER BY 1
$$;
COMMENT ON FUNCTION perfopt.describe_action(text) IS
  'The statements of an action one by one, the locks that others may wait for, and when it takes effect (at once, for new sessions, when the configuration is reloaded or the server restarted). Example: SELECT d.* FROM perfopt.recommendations() r, perfopt.describe_action(r.action_sql) d;';

-- A worker that is gone left nothing behind; a restart of the server takes it along.
CREATE FUNCTION perfopt.settle_applications() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE perfopt.application a
  SET state = 'failed', finished_at = clock_timestamp(),
      error = 'the worker was ended, or the server restarted; look for what it left half done'
  WHERE (a.state = 'running' AND NOT EXISTS (SELECT FROM pg_stat_activity s
           WHERE s.pid = a.pid AND s.backend_type = 'perfopt apply' AND s.backend_start <= a.started_at))
     OR (a.state = 'ordered' AND a.ordered_at < clock_timestamp() - interval '1 min'
         AND NOT EXISTS (SELECT FROM pg_stat_activity s WHERE s.backend_type = 'perfopt apply' AND s.backend_start >= a.ordered_at))
$$;
COMMENT ON FUNCTION perfopt.settle_applications() IS
  'Marks those of perfopt.application as failed whose worker is gone; each new application begins with it. Example: SELECT perfopt.settle_applications();';

CREATE FUNCTION perfopt.order_application(
  recommendation_id bigint, undo boolean, lock_timeout_ms int, who text)
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  busy perfopt.application;
  ordered bigint;
BEGIN
  PERFORM FROM perfopt.recommendation r WHERE r.recommendation_id = $1 FOR UPDATE;
  PERFORM perfopt.settle_applications();
  SELECT a.* INTO busy FROM perfopt.application a WHERE a.recommendation_id = $1 AND a.state IN ('ordered', 'running') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'recommendation % is being worked on by application %', $1, busy.application_id
      USING ERRCODE = 'object_in_use',
            HINT = format('SELECT * FROM perfopt.application WHERE application_id = %s;', busy.application_id);
  END IF;
  IF perfopt.is_applied($1) <> undo OR NOT perfopt.can_become(advice.state, CASE WHEN undo THEN 'reverted' ELSE 'implemented' END) THEN
    RAISE EXCEPTION 'recommendation % is % and can''t be % now', $1, advice.state, CASE WHEN undo THEN 'reverted' ELSE 'applied' END
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('How it came there: SELECT * FROM perfopt.recommendation_history WHERE recommendation_id = %s;', $1);
  END IF;
  IF NOT perfopt.is_applicable(CASE WHEN undo THEN advice.revert_sql ELSE advice.action_sql END) THEN
    RAISE EXCEPTION 'recommendation % has nothing that SQL could %', $1, CASE WHEN undo THEN 'revert' ELSE 'change' END
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN undo THEN 'Undo it by hand: see revert_sql.'
                        ELSE format('Do what action_sql says, and then SELECT perfopt.mark_implemented(%s);', $1) END;
  END IF;
  IF NOT undo AND perfopt.existing_index(advice.action_sql) IS NOT NULL THEN
    RAISE EXCEPTION 'index % does already what recommendation % would create', perfopt.existing_index(advice.action_sql), $1
      USING ERRCODE = 'duplicate_object', HINT = 'Nothing is left to do: dismiss_recommendation(), or mark_implemented().';
  END IF;
  IF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = who) THEN
    RAISE EXCEPTION 'role "%" can''t log in, so no worker can act as it', who
      USING ERRCODE = 'insufficient_privilege', HINT = 'SET ROLE to one that can.';
  END IF;
  INSERT INTO perfopt.application (recommendation_id, undo, sql, revert_sql, lock_timeout_ms, ordered_by)
    SELECT $1, $2, CASE WHEN undo THEN advice.revert_sql ELSE advice.action_sql END,
           CASE WHEN undo THEN advice.action_sql ELSE advice.revert_sql END, $3, $4
    RETURNING application_id INTO ordered;
  RETURN ordered;
END $$;
COMMENT ON FUNCTION perfopt.order_application(bigint, boolean, int, text) IS
  'Checks that a recommendation can be applied or reverted, and notes for whom in perfopt.application. For perfopt''s own use. Example: SELECT perfopt.order_application(1, false, 60000, ''dba'');';

CREATE FUNCTION perfopt.take_application(application_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked perfopt.application;
BEGIN
  UPDATE perfopt.application a
  SET state = 'running', started_at = clock_timestamp(), pid = pg_backend_pid(),
      index_was_there = EXISTS (
        SELECT FROM perfopt.action_statements(a.sql) s
        JOIN pg_class t ON t.oid = to_regclass(s.table_name)
        JOIN pg_class i ON i.relnamespace = t.relnamespace AND quote_ident(i.relname) = s.index_name
        WHERE s.command = 'CREATE INDEX')
  WHERE a.application_id = $1 AND a.state = 'ordered' RETURNING a.* INTO asked;
  -- For the worker's whole session.
  PERFORM set_config('lock_timeout', asked.lock_timeout_ms::text, false);
  RETURN asked.sql;
END $$;
COMMENT ON FUNCTION perfopt.take_application(bigint) IS
  'The statements that a worker is to run. For perfopt''s own use. Example: SELECT perfopt.take_application(1);';

CREATE FUNCTION perfopt.note_application(application_id bigint, statements_done int, error text, over boolean) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ran perfopt.application;
BEGIN
  UPDATE perfopt.application a
  SET statements_done = $2, error = $3,
      state = CASE WHEN NOT $4 THEN a.state WHEN $3 IS NULL THEN 'done' ELSE 'failed' END,
      finished_at = CASE WHEN $4 THEN clock_timestamp() END
  WHERE a.application_id = $1 RETURNING a.* INTO ran;
  IF NOT over THEN
    RETURN NULL;
  ELSIF error IS NULL THEN
    PERFORM perfopt.set_recommendation_state(ran.recommendation_id, CASE WHEN ran.undo THEN 'reverted' ELSE 'implemented' END,
                                             ran.ordered_by, NULL);
    RETURN NULL;
  END IF;
  -- What CREATE INDEX CONCURRENTLY leaves behind: an index that no query uses and every write maintains.
  RETURN (SELECT format('DROP INDEX CONCURRENTLY %s', i.indexrelid::regclass)
          FROM perfopt.action_statements(ran.sql) s
          JOIN pg_index i ON i.indrelid = to_regclass(s.table_name) AND NOT i.indisvalid
          JOIN pg_class c ON c.oid = i.indexrelid AND quote_ident(c.relname) = s.index_name
          WHERE s.command = 'CREATE INDEX' AND NOT ran.index_was_there);
END $$;
COMMENT ON FUNCTION perfopt.note_application(bigint, int, text, boolean) IS
  'Notes how far a worker is with an action, and returns what is to be cleaned up after an error. For perfopt''s own use. Example: SELECT perfopt.note_application(1, 2, NULL, true);';

-- Runs as its caller, whose rights the worker will have.
CREATE FUNCTION perfopt.start_application(recommendation_id bigint, undo boolean, lock_timeout_ms int) RETURNS bigint
LANGUAGE C VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'perfopt_start_application';
COMMENT ON FUNCTION perfopt.start_application(bigint, boolean, int) IS
  'Has a worker run an action (or, with undo, its revert) as the calling role once this transaction has committed; locks are waited for lock_timeout_ms (ms) at most. Returns application_id. perfopt.apply_recommendation and revert_recommendation call it. Example: SELECT perfopt.start_application(1, false, 60000);';

CREATE FUNCTION perfopt.apply_recommendation(
  recommendation_id bigint, dry_run boolean DEFAULT true, lock_timeout interval DEFAULT '1 min',
  OUT step int, OUT statement text, OUT locks text, OUT takes_effect text, OUT revert_sql text, OUT risk text,
  OUT application_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  id bigint;
BEGIN
  IF dry_run THEN
    IF perfopt.existing_index(advice.action_sql) IS NOT NULL THEN
      RAISE NOTICE 'index % does already what recommendation % would create', perfopt.existing_index(advice.action_sql), $1;
    END IF;
  ELSE
    id := perfopt.start_application($1, false, (1000 * extract(epoch FROM $3))::int);
    RAISE NOTICE 'application % begins when this transaction commits', id
      USING HINT = format('How far it is: SELECT state, statements_done, error FROM perfopt.application WHERE application_id = %s;', id);
  END IF;
  RETURN QUERY SELECT d.step, d.statement, d.locks, d.takes_effect, advice.revert_sql, advice.risk, id
    FROM perfopt.describe_action(advice.action_sql) d;
END $$;
COMMENT ON FUNCTION perfopt.apply_recommendation(bigint, boolean, interval) IS
  'Shows what applying a recommendation would do: its statements one by one, the locks that others may wait for, when it takes effect and what reverts it. With dry_run => false (default true) a worker runs them as the calling role, with that role''s rights and outside of this transaction, which must commit first; each waits for locks lock_timeout (default 1 min) at most. perfopt.application has progress and result, and then the recommendation is implemented, with who and when in perfopt.recommendation_history. An index that could not be finished is dropped again. Example: SELECT * FROM perfopt.apply_recommendation(1); SELECT * FROM perfopt.apply_recommendation(1, dry_run => false);';

CREATE FUNCTION perfopt.revert_recommendation(
  recommendation_id bigint, dry_run boolean DEFAULT false, lock_timeout interval DEFAULT '1 min',
  OUT step int, OUT statement text, OUT locks text, OUT takes_effect text, OUT application_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  advice perfopt.recommendation := perfopt.checked_recommendation($1);
  id bigint;
BEGIN
  IF NOT dry_run THEN
    id := perfopt.start_application($1, true, (1000 * extract(epoch FROM $3))::int);
    RAISE NOTICE 'application % begins when this transaction commits', id
      USING HINT = format('How far it is: SELECT state, statements_done, error FROM perfopt.application WHERE application_id = %s;', id);
  END IF;
  RETURN QUERY SELECT d.step, d.statement, d.locks, d.takes_effect, id FROM perfopt.describe_action(advice.revert_sql) d;
END $$;
COMMENT ON FUNCTION perfopt.revert_recommendation(bigint, boolean, interval) IS
  'Undoes an implemented recommendation with its revert_sql, in the way of perfopt.apply_recommendation; dry_run => true (default false) only shows it. Example: SELECT * FROM perfopt.revert_recommendation(1);';

CREATE PROCEDURE perfopt.wait_application(application_id bigint, timeout interval DEFAULT '1 hour', INOUT state text DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  give_up timestamptz := clock_timestamp() + timeout;
BEGIN
  LOOP
    state := (SELECT a.state FROM perfopt.application a WHERE a.application_id = $1);
    EXIT WHEN state IS NULL OR state IN ('done', 'failed') OR clock_timestamp() > give_up;
    -- A snapshot would be waited for by CREATE INDEX CONCURRENTLY.
    COMMIT;
    PERFORM pg_catalog.pg_sleep(0.1);
    PERFORM perfopt.settle_applications();
  END LOOP;
  IF state IS NULL THEN
    RAISE EXCEPTION 'application % does not exist', $1
      USING ERRCODE = 'undefined_object', HINT = 'They are listed in perfopt.application.';
  END IF;
END $$;
COMMENT ON PROCEDURE perfopt.wait_application(bigint, interval, text) IS
  'Waits until a worker is through with an action, for timeout (default 1 hour) at most, and returns its state: done, failed, or what it still is. Not inside a transaction block. Example: CALL perfopt.wait_application(1);';
