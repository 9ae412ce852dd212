/*
 * What cppcheck has to know of the server's headers, which it does not read: script/lint includes
 * this file into each one that it checks.
 */
#define PG_VERSION_NUM 150000
#define PGDLLEXPORT
#define PG_MODULE_MAGIC
#define PG_FUNCTION_INFO_V1(function)
/* Which level ends the function. */
#define ereport_ERROR() abort()
#define ereport_WARNING() (void) 0
#define ereport_NOTICE() (void) 0
#define ereport_LOG() (void) 0
#define ereport(elevel, ...) ereport_##elevel()
#define elog(elevel, ...) ereport_##elevel()
