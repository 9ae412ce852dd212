CREATE FUNCTION perfopt.target_validator(options text[], catalog oid) RETURNS void
  LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'perfopt_target_validator';
COMMENT ON FUNCTION perfopt.target_validator(text[], oid) IS
  'checks the options of servers and user mappings of the foreign-data wrapper perfopt';

CREATE FOREIGN DATA WRAPPER perfopt VALIDATOR perfopt.target_validator;
COMMENT ON FOREIGN DATA WRAPPER perfopt IS
  'what perfopt talks to; the TYPE of a server is redis or postgres (http, openmetrics and webhook are reserved)';

CREATE SERVER perfopt_local TYPE 'postgres' FOREIGN DATA WRAPPER perfopt;
COMMENT ON SERVER perfopt_local IS
  'this server itself, the default target of load tests; superusers need no user mapping for it';
