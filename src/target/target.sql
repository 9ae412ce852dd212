CREATE FUNCTION perfopt.target_validator(options text[], catalog oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'perfopt_target_validator';
COMMENT ON FUNCTION perfopt.target_validator(text[], oid) IS
  'Checks the options of servers and user mappings of the foreign-data wrapper perfopt; PostgreSQL calls it. Example: SELECT perfopt.target_validator(ARRAY[''host=127.0.0.1''], ''pg_foreign_server''::regclass);';

CREATE FOREIGN DATA WRAPPER perfopt VALIDATOR perfopt.target_validator;
COMMENT ON FOREIGN DATA WRAPPER perfopt IS
  'What perfopt talks to. The TYPE of a server is redis, http, openmetrics or pgbouncer (asked by the prober) postgres (load tests) or webhook (told of events, as is a redis with option event_channel or event_stream).';

CREATE SERVER perfopt_local TYPE 'postgres' FOREIGN DATA WRAPPER perfopt;
COMMENT ON SERVER perfopt_local IS
  'This server itself, the target of load tests unless they name another. Superusers need no user mapping for it.';

CREATE FUNCTION perfopt.check_target(target text) RETURNS text
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'perfopt_check_target';
COMMENT ON FUNCTION perfopt.check_target(text) IS
  'Connects to a target of TYPE postgres as a load test would, and says what is there; an error says what is wrong. Example: SELECT perfopt.check_target(''perfopt_local'');';
