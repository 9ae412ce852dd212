-- Targets: options, and who may connect to what by which password.
-- New connections have to see the roles, so this is no single transaction; it cleans up at its end.
\set ON_ERROR_STOP 1
\set QUIET 1
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;

CREATE ROLE target_tester LOGIN PASSWORD 'right-one';
CREATE ROLE target_builder;
GRANT USAGE ON SCHEMA perfopt TO target_tester, target_builder;
GRANT EXECUTE ON FUNCTION perfopt.check_target(text) TO target_tester;
GRANT USAGE ON FOREIGN DATA WRAPPER perfopt TO target_builder;

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  PERFORM set_config('role', role, true);
  IF command LIKE 'SELECT%' THEN
    EXECUTE command INTO result;
  ELSE
    EXECUTE command;
  END IF;
  PERFORM set_config('role', 'none', true);
  RETURN result;
END $$;

CREATE FUNCTION pg_temp.connect_as(role name, target text) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.run_as(role, format('SELECT perfopt.check_target(%L)', target)) $$;

CREATE FUNCTION pg_temp.message_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', message, nullif(detail, ''), nullif(hint, ''));
END $$;

SELECT plan(48);

-- Options
SELECT is(pg_temp.message_of($$CREATE SERVER x TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (hots 'a')$$),
  'invalid option "hots" | Perhaps you meant the option "host". Valid options are host, port, url, timeout, tls, dbname and the other connection options of libpq.',
  'a misspelt option of a server is an error that names the nearest');
SELECT throws_ok($$CREATE SERVER x TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (hots 'a')$$, 'HV00D', NULL,
  'with the errcode of an invalid option name');
SELECT unalike(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (zzzzzzzz 'a')$$), '%Perhaps%',
  'a far-off option gets no guess');
SELECT is(pg_temp.message_of($$CREATE USER MAPPING FOR target_tester SERVER perfopt_local OPTIONS (pasword 'secret')$$),
  'invalid option "pasword" | Perhaps you meant the option "password". Valid options are user, password, token, password_required, sslcert, sslkey and sslpassword.',
  'a misspelt option of a mapping too, without its value');
SELECT is(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (password 'secret')$$),
  'option "password" does not belong in a server | Give it in the user mapping. Valid options here are host, port, url, timeout, tls, dbname and the other connection options of libpq.',
  'a password cannot be put where everyone reads it');
SELECT matches(pg_temp.message_of($$CREATE USER MAPPING FOR target_tester SERVER perfopt_local OPTIONS (host 'a')$$),
  '^option "host" does not belong in a user mapping', 'a mapping cannot change the address');
SELECT matches(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (fallback_application_name 'a')$$),
  '^invalid option', 'what perfopt sets itself is no option');
SELECT matches(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (replication 'a')$$),
  '^invalid option', 'what is meant for debugging is no option');
SELECT matches(pg_temp.message_of($$ALTER FOREIGN DATA WRAPPER perfopt OPTIONS (ADD host 'a')$$),
  '^invalid option "host" \| Only servers and user mappings', 'the wrapper itself has no options');
SELECT matches(pg_temp.message_of(format($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (port %L)$$, port)),
  '^invalid port', format('port %s is refused', port))
FROM unnest(ARRAY['0', '65536', 'abc', '12a', '-1', '99999999999999999999', '1,70000']) port;
SELECT is(pg_temp.message_of(format($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (port %L); DROP SERVER x$$, port)),
  'no error', format('port %s is taken', port))
FROM unnest(ARRAY['1', '65535', '5432,,5433']) port;
SELECT matches(pg_temp.message_of(format($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (url %L)$$, url)),
  '^invalid value for option "url"', format('url %s is refused', url))
FROM unnest(ARRAY['', 'ftp://a/', 'a.example', 'http://', 'https:///path']) url;
SELECT is(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (url 'https://me:secret@a.example/x')$$),
  'a url must not contain a user or a password | Give them as options user and password of a user mapping, which others cannot read.',
  'a url with a secret is refused, and the secret not repeated');
SELECT is(pg_temp.message_of($$CREATE SERVER x FOREIGN DATA WRAPPER perfopt OPTIONS (url 'https://a.example:8080/x?mail=a@b'); DROP SERVER x$$),
  'no error', 'a url with an at sign after the host is not');

-- Privileged options
CREATE SERVER target_mine TYPE 'postgres' FOREIGN DATA WRAPPER perfopt;
ALTER SERVER target_mine OWNER TO target_builder;
SELECT throws_ok($$SELECT pg_temp.run_as('target_builder',
  'CREATE USER MAPPING FOR target_builder SERVER target_mine OPTIONS (password_required ''false'')')$$,
  '42501', 'password_required=false is superuser-only', 'only a superuser may do without a password');
SELECT throws_ok($$SELECT pg_temp.run_as('target_builder',
  'CREATE USER MAPPING FOR target_builder SERVER target_mine OPTIONS (sslkey ''/etc/key'')')$$,
  '42501', 'option "sslkey" is superuser-only', 'only a superuser may name key files');
SELECT throws_ok(format($$SELECT pg_temp.run_as('target_builder', 'ALTER SERVER target_mine OPTIONS (ADD %s ''/etc/file'')')$$, option),
  '42501', format('option "%s" is superuser-only', option), 'nor others, such as ' || option) FROM unnest('{tls_ca,sslrootcert,sslcrl}'::text[]) option;
SELECT lives_ok($$SELECT pg_temp.run_as('target_builder',
  'CREATE USER MAPPING FOR target_builder SERVER target_mine OPTIONS (password_required ''true'', password ''x'')')$$,
  'who owns a server makes mappings for it');

-- Use
SELECT matches(perfopt.check_target('perfopt_local'),
  '^PostgreSQL [0-9.]+.*, database "' || current_database() || '", role "' || current_user || '"$',
  'a superuser reaches this server and database without a mapping');
SELECT throws_ok($$SELECT perfopt.check_target('nowhere')$$, '42704', 'target "nowhere" does not exist', 'an unknown target');
CREATE FOREIGN DATA WRAPPER target_other;
CREATE SERVER target_foreign FOREIGN DATA WRAPPER target_other;
SELECT throws_ok($$SELECT perfopt.check_target('target_foreign')$$, '42809',
  'server "target_foreign" is not a server of perfopt', 'a server of another wrapper');
CREATE SERVER target_cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1');
SELECT throws_ok($$SELECT perfopt.check_target('target_cache')$$, '42809',
  'server "target_cache" has TYPE "redis", so it cannot be used as a PostgreSQL server', 'a target of another TYPE');
DROP SERVER target_cache;
CREATE SERVER target_plain FOREIGN DATA WRAPPER perfopt;
SELECT throws_ok($$SELECT perfopt.check_target('target_plain')$$, '42809',
  'server "target_plain" has no TYPE, so it cannot be used as a PostgreSQL server', 'a target without TYPE');
CREATE SERVER target_odd TYPE 'postgres' FOREIGN DATA WRAPPER perfopt
  OPTIONS (host '127.0.0.1', port '1', dbname 'it''s a \ name');
SELECT throws_ok($$SELECT perfopt.check_target('target_odd')$$, '08001', NULL, 'nobody listens there');
ALTER SERVER target_odd OPTIONS (DROP host, DROP port);
SELECT matches(pg_temp.message_of($$SELECT perfopt.check_target('target_odd')$$),
  'database "it''s a \\ name" does not exist', 'quotes and backslashes reach libpq as they are');
ALTER SERVER target_odd OPTIONS (ADD url 'http://a.example');
SELECT throws_ok($$SELECT perfopt.check_target('target_odd')$$, 'HV00D', NULL, 'a url does not go with TYPE postgres');

-- Passwords. The socket trusts, so what a role could do there without one is the server owner's.
SELECT throws_ok($$SELECT pg_temp.connect_as('target_tester', 'perfopt_local')$$, '42501',
  'permission denied for foreign server perfopt_local', 'USAGE is needed');
GRANT USAGE ON FOREIGN SERVER perfopt_local TO target_tester;
SELECT throws_ok($$SELECT pg_temp.connect_as('target_tester', 'perfopt_local')$$, '2F003',
  'password is required to connect to target "perfopt_local"', 'without a mapping there is no password');
CREATE USER MAPPING FOR PUBLIC SERVER perfopt_local OPTIONS (user 'target_tester', password '');
SELECT throws_ok($$SELECT pg_temp.connect_as('target_tester', 'perfopt_local')$$, '2F003', NULL, 'an empty password is none');
CREATE USER MAPPING FOR target_tester SERVER perfopt_local OPTIONS (user 'postgres', password 'right-one');
SELECT is(pg_temp.message_of($$SELECT pg_temp.connect_as('target_tester', 'perfopt_local')$$),
  'password is required to connect to target "perfopt_local" | Non-superuser cannot connect if the server does not request a password. | Change the target''s authentication method, or let a superuser set password_required ''false'' in the user mapping.',
  'a password that the target never asked for does not count');
ALTER USER MAPPING FOR target_tester SERVER perfopt_local OPTIONS (ADD password_required 'false', SET user 'target_tester');
SELECT matches(pg_temp.connect_as('target_tester', 'perfopt_local'), 'role "target_tester"$',
  'unless a superuser said that none is required');
SELECT format('CREATE SERVER target_tcp TYPE ''postgres'' FOREIGN DATA WRAPPER perfopt OPTIONS (host ''127.0.0.1'', port %L, dbname %L)',
              current_setting('port'), current_database()) \gexec
GRANT USAGE ON FOREIGN SERVER target_tcp TO target_tester;
CREATE USER MAPPING FOR target_tester SERVER target_tcp OPTIONS (password 'right-one');
SELECT matches(pg_temp.connect_as('target_tester', 'target_tcp'), 'role "target_tester"$',
  'a password that the target asks for lets in, by the name of the role');
ALTER USER MAPPING FOR target_tester SERVER target_tcp OPTIONS (SET password 'wrong-one');
SELECT throws_like($$SELECT pg_temp.connect_as('target_tester', 'target_tcp')$$, 'could not connect to target "target_tcp"',
  'a wrong password does not');
SELECT unalike(pg_temp.message_of($$SELECT pg_temp.connect_as('target_tester', 'target_tcp')$$), '%wrong-one%',
  'a wrong password is not repeated');

DROP SERVER target_mine, target_foreign, target_plain, target_odd, target_tcp CASCADE;
DROP FOREIGN DATA WRAPPER target_other;
DROP USER MAPPING FOR target_tester SERVER perfopt_local;
DROP USER MAPPING FOR PUBLIC SERVER perfopt_local;
DROP OWNED BY target_tester, target_builder;
DROP ROLE target_tester, target_builder;
SELECT * FROM finish();
