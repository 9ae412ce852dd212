/*
 * import_script.c
 *	  From the language of pgbench's scripts to that of operations.
 *
 * Nearly all of pgbench's language is that of operations.  What is left is done here, on a copy of the
 * text and without moving a character, so that positions in later messages are those of the file:
 * semicolons before \gset and pipeline commands become spaces, commands become lower-case.  What has no
 * counterpart is refused with its line.
 *
 * By default pgbench replaces :name in the text itself, also inside of quotes and names, where a
 * parameter can't be.  That is refused too, since the script would run and do something else.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "load/characters.h"
#include "load/import.h"

static int
line_of(const Import *import, size_t offset)
{
	int line = 1;

	for (size_t i = 0; i < offset; i++)
		line += import->script[i] == '\n';
	return line;
}

static _Noreturn void
refuse(const Import *import, size_t offset, const char *what, const char *hint)
{
	const char *from = import->script + offset;
	size_t length = strcspn(from, "\r\n");

	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("line %d of the pgbench script: %s", line_of(import, offset), what),
					length > 0 ? errdetail("It reads from there: %.*s",
										   pg_mbcliplen(from, length, 60), from)
							   : 0,
					hint != NULL ? errhint("%s", hint) : 0));
}

static size_t
name_length(const char *name)
{
	size_t length = 0;

	while (is_name(name[length]))
		length++;
	return length;
}

static int
find_name(const Import *import, const char *name, size_t length)
{
	for (int i = 0; i < import->nnames; i++)
		if (strlen(import->names[i]) == length && strncmp(import->names[i], name, length) == 0)
			return i;
	return -1;
}

static int
add_name(Import *import, const char *name, size_t length, ImportOrigin origin)
{
	int number = find_name(import, name, length);

	if (number >= 0)
		return number;
	if (import->nnames == IMPORT_MAX_NAMES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the pgbench script has more than %d variables", IMPORT_MAX_NAMES)));
	import->names[import->nnames] = pnstrdup(name, length);
	import->origins[import->nnames] = origin;
	import->used[import->nnames] = false;
	import->scanner.variables = import->names;
	import->scanner.nvariables = ++import->nnames;
	return import->nnames - 1;
}

/* A name that is not known here: a column of a result, or one that -D would have set. */
static int
unknown_name(void *arg, const char *name, size_t length)
{
	Import *import = arg;
	ListCell *cell;
	char *copy;

	foreach (cell, import->prefixes)
	{
		const char *prefix = lfirst(cell);

		if (strlen(prefix) < length && strncmp(prefix, name, strlen(prefix)) == 0)
			return add_name(import, name, length, IMPORT_RESULT);
	}
	copy = pnstrdup(name, length);
	refuse(import, name - 1 - import->script,
		   psprintf("nothing before it sets the variable \"%s\"", copy),
		   psprintf("If pgbench got it by -D, give its value here: variables => '{\"%s\": 100}'.",
					copy));
}

/* Variables in the arguments of a command, where there are no quotes. */
static void
use_names(Import *import, PerfoptStretch text)
{
	const char *p = import->script + text.offset;
	const char *end = p + text.length;

	for (; p < end; p++)
	{
		size_t length = *p == ':' && is_name_start(p[1]) ? name_length(p + 1) : 0;
		int number;

		if (length == 0)
			continue;
		number = find_name(import, p + 1, length);
		import->used[number >= 0 ? number : unknown_name(import, p + 1, length)] = true;
	}
}

/* A variable in a quoted stretch. */
static void
check_quoted(const Import *import, const char *from, const char *end)
{
	for (const char *p = from; p < end; p++)
	{
		size_t length;

		if (p[0] == ':' && p[1] == ':')
			p++;
		else if (p[0] == ':' && is_name_start(p[1]))
		{
			length = name_length(p + 1);
			if (find_name(import, p + 1, length) >= 0)
				refuse(import, p - import->script,
					   psprintf("the variable \"%s\" is inside quotes, where it can't be a "
								"parameter",
								pnstrdup(p + 1, length)),
					   *from == '"' ? "A name in SQL can't vary; make an operation for each."
									: psprintf("Put it together in SQL, as in 'text ' || :%s.",
											   pnstrdup(p + 1, length)));
		}
	}
}

/* Where what is quoted at p ends, p itself if nothing is.  The scanner has seen that it does end. */
static const char *
skip_quoted(const char *p, bool escapes)
{
	const char *end = p + 1;

	if (*p == '$')
	{
		while (is_name(*end))
			end++;
		if (*end != '$')
			return p;
		end++;
		return strstr(end, pnstrdup(p, end - p)) + (end - p);
	}
	if (*p != '\'' && *p != '"')
		return p;
	for (; *end != *p; end++)
		if (escapes && *end == '\\')
			end++;
	return end + 1;
}

static const char *
skip_comment(const char *p)
{
	int depth = 0;

	if (p[0] == '-' && p[1] == '-')
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return p;
	do
	{
		bool opens = p[0] == '/' && p[1] == '*';
		bool closes = p[0] == '*' && p[1] == '/';

		depth += opens - closes;
		p += opens || closes ? 2 : 1;
	} while (depth > 0);
	return p;
}

/* Variables that pgbench would replace and the scanner leaves alone, or makes part of a name. */
static void
check_places(const Import *import, const char *p, const char *end)
{
	const char *word = NULL; /* begin of the one at hand */

	while (p < end)
	{
		bool escapes = word != NULL && p - word == 1 && (*word == 'e' || *word == 'E');
		const char *next = skip_comment(p);

		if (next == p && (*p != '$' || word == NULL))
			next = skip_quoted(p, escapes);
		if (next > p)
			check_quoted(import, p, *p == '\'' || *p == '"' || *p == '$' ? next : p);
		else if (*p == ':' && p[1] == ':')
			next = p + 2;
		else if (*p == ':' && word != NULL && find_name(import, p + 1, name_length(p + 1)) >= 0)
			refuse(import, word - import->script, "a variable is part of a name",
				   "A name in SQL can't vary; make an operation for each.");
		else
			next = p + 1;
		if (next > p + 1 || !(is_name(*p) || *p == '$'))
			word = NULL;
		else if (word == NULL)
			word = p;
		p = next;
	}
}

static bool
is_command(const Import *import, const PerfoptCommand *command, const char *name)
{
	return command->name.length == strlen(name) &&
		   strncmp(import->script + command->name.offset, name, command->name.length) == 0;
}

/* What operations don't have. */
static _Noreturn void
refuse_command(const Import *import, const PerfoptCommand *command)
{
	static const struct
	{
		const char *name;
		const char *hint;
	} commands[] = {
		{ "aset", "Take results one by one: end each statement with \\gset." },
		{ "shell", "Load workers run no programs; do that before the test." },
		{ "setshell",
		  "Load workers run no programs; run it before the test, and give what it prints "
		  "in the argument variables." },
		{ "setrandom", "It is written \\set name random(low, high) since PostgreSQL 9.6." },
	};
	const char *rest = import->script + command->offset + 1;

	for (int i = 0; i < lengthof(commands); i++)
		if (is_command(import, command, commands[i].name))
			refuse(import, command->offset, psprintf("operations have no \\%s", commands[i].name),
				   commands[i].hint);
	if (*rest == ';')
		refuse(import, command->offset, "operations have no \\;",
			   "Write a semicolon, and run the test with options => '{\"protocol\": \"pipeline\"}' "
			   "to send statements together.");
	if (*rest == ':')
		refuse(import, command->offset, "operations have no \\:",
			   "A colon before what is no variable needs no backslash inside brackets; put a space "
			   "behind it elsewhere.");
	refuse(import, command->offset,
		   psprintf("there is no command \\%.*s", (int) command->name.length, rest),
		   "Known are \\set, \\sleep, \\if, \\elif, \\else, \\endif and \\gset.");
}

static void
blank(const Import *import, size_t from, size_t end)
{
	for (size_t i = from; i < end; i++)
		if (!is_space(import->script[i]))
			import->script[i] = ' ';
}

static bool
leave_out_pipeline(Import *import, const PerfoptCommand *command)
{
	if (!is_command(import, command, "startpipeline") &&
		!is_command(import, command, "endpipeline") && !is_command(import, command, "syncpipeline"))
		return false;
	appendStringInfo(&import->pipelines, "%s%d", import->pipelines.len > 0 ? ", " : "",
					 line_of(import, command->offset));
	blank(import, command->offset, command->name.offset + command->name.length);
	return true;
}

static void
take_set(Import *import, const PerfoptCommand *command)
{
	const char *name = import->script + command->arguments.offset;
	size_t length = 0;
	PerfoptStretch expression;

	while (length < command->arguments.length && !is_space(name[length]))
		length++;
	expression.offset = command->arguments.offset + length;
	expression.length = command->arguments.length - length;
	use_names(import, expression);
	if (length > 0)
		(void) add_name(import, name, length, IMPORT_SCRIPT);
}

/* False when the text was changed in a way that it has to be read again. */
static bool
take_command(Import *import, const PerfoptCommand *command)
{
	static const char *const known[] = { "sleep", "if", "elif", "else", "endif" };
	char *name = import->script + command->name.offset;

	for (size_t i = 0; i < command->name.length; i++)
		name[i] = pg_ascii_tolower((unsigned char) name[i]);
	if (is_command(import, command, "gset"))
		return false;
	if (leave_out_pipeline(import, command))
		return true;
	if (is_command(import, command, "set"))
	{
		take_set(import, command);
		return true;
	}
	for (int i = 0; i < lengthof(known); i++)
	{
		if (is_command(import, command, known[i]))
		{
			use_names(import, command->arguments);
			return true;
		}
	}
	refuse_command(import, command);
}

static void
take_statement(Import *import, const PerfoptStatement *statement)
{
	check_places(import, import->script + statement->offset,
				 import->script + import->scanner.offset);
	for (int i = 0; i < statement->nparams; i++)
		import->used[statement->params[i]] = true;
	if (statement->gset)
		import->prefixes =
			lappend(import->prefixes,
					pnstrdup(import->script + statement->prefix.offset, statement->prefix.length));
}

/* In pgbench a \gset may come behind the semicolon. */
static bool
take_away_semicolon(const Import *import, size_t statement_end, size_t offset)
{
	bool any = false;

	if (strncmp(import->script + offset, "\\gset", strlen("\\gset")) != 0)
		return false;
	for (size_t i = statement_end; i < offset; i++)
	{
		any |= import->script[i] == ';';
		if (import->script[i] == ';')
			import->script[i] = ' ';
	}
	return any;
}

static void
add_known_names(Import *import)
{
	static const char *const own[] = { "client_id", "random_seed", "default_seed" };
	JsonbIterator *it = JsonbIteratorInit(&import->given->root);
	JsonbValue key;
	JsonbIteratorToken token;

	import->nnames = 0;
	for (int i = 0; i < lengthof(own); i++)
		(void) add_name(import, own[i], strlen(own[i]), IMPORT_OWN);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
		if (token == WJB_KEY)
			import
				->origins[add_name(import, key.val.string.val, key.val.string.len, IMPORT_GIVEN)] =
				IMPORT_GIVEN;
	(void) add_name(import, "scale", strlen("scale"), IMPORT_SCALE);
}

/* False when the text was changed, and has to be read again. */
static bool
read_script(Import *import)
{
	char *sql = palloc(perfopt_script_buffer_size(import->script));
	PerfoptStatement *statement = palloc(sizeof(PerfoptStatement));
	PerfoptCommand command;
	PerfoptScriptError error;
	PerfoptScriptResult result;
	size_t statement_end = SIZE_MAX; /* of the one right before, behind it */

	perfopt_script_init(&import->scanner, import->script, NULL, 0);
	import->scanner.unknown = unknown_name;
	import->scanner.arg = import;
	import->prefixes = NIL;
	add_known_names(import);
	while ((result = perfopt_script_next(&import->scanner, sql, statement, &command, &error)) !=
		   PERFOPT_SCRIPT_END)
	{
		if (result == PERFOPT_SCRIPT_ERROR)
		{
			if (statement_end != SIZE_MAX &&
				take_away_semicolon(import, statement_end - 1, error.offset))
				return false;
			refuse(import, error.offset, error.message, error.hint);
		}
		if (result == PERFOPT_SCRIPT_COMMAND && !take_command(import, &command))
			return false;
		if (result == PERFOPT_SCRIPT_STATEMENT)
			take_statement(import, statement);
		statement_end = result == PERFOPT_SCRIPT_STATEMENT ? import->scanner.offset : SIZE_MAX;
	}
	return true;
}

void
import_script(Import *import)
{
	initStringInfo(&import->pipelines);
	while (!read_script(import))
		CHECK_FOR_INTERRUPTS();
}
