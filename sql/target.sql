-- Targets are foreign servers: what the extension brings, and what options it takes.
SELECT fdwname, fdwhandler::regproc, fdwvalidator::regproc, fdwoptions FROM pg_foreign_data_wrapper WHERE fdwname = 'perfopt';
SELECT srvname, srvtype, srvoptions FROM pg_foreign_server WHERE srvname = 'perfopt_local';

CREATE SERVER regress_cache TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host '127.0.0.1', port '6379');
CREATE SERVER regress_site TYPE 'http' FOREIGN DATA WRAPPER perfopt OPTIONS (url 'https://billing.example/health');
CREATE SERVER regress_db TYPE 'postgres' FOREIGN DATA WRAPPER perfopt
  OPTIONS (host 'db2', dbname 'app', sslmode 'verify-full', connect_timeout '3');
CREATE USER MAPPING FOR PUBLIC SERVER regress_db OPTIONS (user 'app', password 'secret');
ALTER SERVER regress_cache OPTIONS (SET port '6380', DROP host, ADD host '/run/redis/redis.sock');
SELECT srvname, srvtype, srvoptions FROM pg_foreign_server WHERE srvname LIKE 'regress%' ORDER BY srvname;

-- Errors name what is wrong and say what is right.
CREATE SERVER regress_bad TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (hots '127.0.0.1');
CREATE SERVER regress_bad TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (password 'secret');
ALTER SERVER regress_cache OPTIONS (SET port '70000');
ALTER SERVER regress_site OPTIONS (SET url 'billing.example');
ALTER SERVER regress_site OPTIONS (SET url 'https://me:secret@billing.example/');
ALTER SERVER regress_site OPTIONS (ADD timeout '5');
ALTER SERVER regress_site OPTIONS (ADD timeout '5min');
ALTER SERVER regress_site OPTIONS (ADD method 'DELETE');
ALTER SERVER regress_site OPTIONS (ADD expected_status '20');
ALTER SERVER regress_site OPTIONS (ADD headers E'Accept: text/plain\nnonsense');
ALTER SERVER regress_site OPTIONS (ADD headers E'Accept: text/plain\rX-Smuggled: 1');
ALTER SERVER regress_site OPTIONS (ADD headers 'authorization: Bearer secret');
ALTER SERVER regress_site OPTIONS (ADD tls_verify 'perhaps');
ALTER SERVER regress_site OPTIONS (ADD tls_ca 'ca.pem');
CREATE USER MAPPING FOR PUBLIC SERVER regress_cache OPTIONS (passwrod 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER regress_cache OPTIONS (port '6379');
ALTER FOREIGN DATA WRAPPER perfopt OPTIONS (ADD host '127.0.0.1');

ALTER SERVER regress_site OPTIONS (ADD timeout '1500ms', ADD method 'HEAD', ADD expected_status '204',
  ADD headers E'Accept: text/plain\nX-Purpose: watch', ADD tls_verify 'off', ADD tls_ca '/etc/ssl/ca.pem', ADD tls_cert '/c', ADD tls_key '/k');

-- Who is no superuser must not name the server's own files as credentials.
CREATE ROLE regress_perfopt_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER perfopt TO regress_perfopt_owner;
SET ROLE regress_perfopt_owner;
CREATE SERVER regress_bad TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host 'cache', tls 'true', tls_cert '/c');
CREATE SERVER regress_bad TYPE 'redis' FOREIGN DATA WRAPPER perfopt OPTIONS (host 'cache', tls 'true', tls_key '/k');
RESET ROLE;
REVOKE USAGE ON FOREIGN DATA WRAPPER perfopt FROM regress_perfopt_owner;
DROP ROLE regress_perfopt_owner;

-- There is no handler, hence nothing to read.
CREATE FOREIGN TABLE regress_table (x int) SERVER regress_cache;
SELECT * FROM regress_table;

-- What cannot be used says why.
SELECT perfopt.check_target('regress_cache');
SELECT perfopt.check_target('no_such_target');

DROP FOREIGN TABLE regress_table;
DROP SERVER regress_cache, regress_site;
DROP SERVER regress_db CASCADE;
