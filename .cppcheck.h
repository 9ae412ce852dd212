/*
 * What cppcheck has to know of the server's headers, which it does not read: script/lint includes
 * this file into each one that it checks.
 */
#define PG_VERSION_NUM 150000
#define PGDLLEXPORT
#define PG_MODULE_MAGIC
#define PG_FUNCTION_INFO_V1(function)
#define ERROR 21
#define ereport(elevel, ...) \
	do \
	{ \
		if ((elevel) >= ERROR) \
			abort(); \
	} while (0)
#define elog(elevel, ...) ereport(elevel, 0)
