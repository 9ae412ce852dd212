/*
 * script.h
 *	  Splits an operation's script into statements and backslash commands, and turns its :variables into
 *	  parameters.
 *
 * Follows the server's lexer with standard_conforming_strings on: quoted strings and names, E'',
 * dollar quotes, nested comments, ::, := and array slices are left alone, and so is whatever is
 * inside parentheses.  Inside brackets a colon right after an operand is a slice, as in a[1:n], and so
 * is one before a name that is not a variable.
 *
 * A backslash outside of quotes and parentheses begins a command, which goes to the end of its line; a
 * backslash before the line's end joins the next.  \\gset ends the statement before it in place of a
 * semicolon, any other command comes by itself.  Which commands there are is not known here.
 *
 * Pure C: no PostgreSQL, no allocation.  Offsets are bytes from the start of the script.
 */
#ifndef PERFOPT_SCRIPT_H
#define PERFOPT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

/* Distinct variables in one statement. */
#define PERFOPT_SCRIPT_MAX_PARAMS 64

/* Places where a statement uses variables, each counted as often as it does. */
#define PERFOPT_SCRIPT_MAX_PLACES 256

typedef struct PerfoptScript
{
	const char *text;
	const char *const *variables; /* names that :name may use; may grow between two calls */
	int nvariables;

	/* Asked for a name that is not there: its number once it is, or -1.  NULL is always -1. */
	int (*unknown)(void *arg, const char *name, size_t length);
	void *arg;

	size_t offset; /* where the next statement may begin */
} PerfoptScript;

/* A stretch of the script. */
typedef struct PerfoptStretch
{
	size_t offset;
	size_t length;
} PerfoptStretch;

typedef struct PerfoptStatement
{
	size_t offset; /* of its first character */
	size_t length; /* of the text with $n in place of :name */
	int nparams;
	int params[PERFOPT_SCRIPT_MAX_PARAMS]; /* index in variables of $1, $2 ... */
	int nplaces;
	struct
	{
		int offset; /* of $n in the text */
		int param;  /* n - 1 */
	} places[PERFOPT_SCRIPT_MAX_PLACES];
	bool gset;             /* its row goes into variables ... */
	PerfoptStretch prefix; /* ... whose names begin so */
} PerfoptStatement;

typedef struct PerfoptCommand
{
	size_t offset;       /* of the backslash */
	PerfoptStretch name; /* without it */
	PerfoptStretch arguments;
} PerfoptCommand;

typedef enum PerfoptScriptResult
{
	PERFOPT_SCRIPT_STATEMENT,
	PERFOPT_SCRIPT_COMMAND,
	PERFOPT_SCRIPT_END,
	PERFOPT_SCRIPT_ERROR
} PerfoptScriptResult;

/* What is wrong, as a lower-case phrase without the position; the hint is NULL or a sentence. */
typedef struct PerfoptScriptError
{
	size_t offset;
	char message[192];
	const char *hint;
} PerfoptScriptError;

/* Room that `sql` needs below, whatever the script holds. */
extern size_t perfopt_script_buffer_size(const char *text);

extern void perfopt_script_init(PerfoptScript *script, const char *text,
								const char *const *variables, int nvariables);

/* Writes the next statement's text to sql, NUL-terminated; or describes the next command. */
extern PerfoptScriptResult perfopt_script_next(PerfoptScript *script, char *sql,
											   PerfoptStatement *statement, PerfoptCommand *command,
											   PerfoptScriptError *error);

#endif /* PERFOPT_SCRIPT_H */
