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
CREATE USER MAPPING FOR PUBLIC SERVER regress_cache OPTIONS (passwrod 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER regress_cache OPTIONS (port '6379');
ALTER FOREIGN DATA WRAPPER perfopt OPTIONS (ADD host '127.0.0.1');

-- There is no handler, hence nothing to read.
CREATE FOREIGN TABLE regress_table (x int) SERVER regress_cache;
SELECT * FROM regress_table;

-- What cannot be used says why.
SELECT perfopt.check_target('regress_cache');
SELECT perfopt.check_target('no_such_target');

DROP FOREIGN TABLE regress_table;
DROP SERVER regress_cache, regress_site;
DROP SERVER regress_db CASCADE;
