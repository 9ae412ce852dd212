/*
 * import.h
 *	  A script of pgbench while it becomes one of an operation.
 *
 * Private to import.c and import_script.c.
 */
#ifndef PERFOPT_LOAD_IMPORT_H
#define PERFOPT_LOAD_IMPORT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "load/script.h"

#define IMPORT_MAX_NAMES 256

/* Where a variable gets its values. */
typedef enum ImportOrigin
{
	IMPORT_OWN,   /* every script has it */
	IMPORT_GIVEN, /* the caller defines it */
	IMPORT_SCALE,
	IMPORT_SCRIPT, /* \set assigns it */
	IMPORT_RESULT  /* \gset may assign it */
} ImportOrigin;

typedef struct Import
{
	char *script; /* changed in place */
	PerfoptScript scanner;
	Jsonb *given;
	int nnames; /* that are known at this place of the script */
	const char *names[IMPORT_MAX_NAMES];
	ImportOrigin origins[IMPORT_MAX_NAMES];
	bool used[IMPORT_MAX_NAMES];
	List *prefixes;           /* of \gset so far */
	StringInfoData pipelines; /* lines of commands that were left out */
} Import;

/*
 * import_script.c: changes the script to one that an operation understands, and finds out which variables
 * it uses; ERROR with the line where it can't be one.  script and given are set before.
 */
extern void import_script(Import *import);

#endif /* PERFOPT_LOAD_IMPORT_H */
