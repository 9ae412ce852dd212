\echo Use "CREATE EXTENSION perfopt" to load this file. \quit

COMMENT ON SCHEMA perfopt IS
  'perfopt: watch, load-test, diagnose and tune this server. Start with: SELECT * FROM perfopt.bottlenecks();';
