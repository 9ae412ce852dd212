/*
 * script.c
 *	  Splits an operation's script into statements and backslash commands, and turns its :variables into
 *	  parameters.
 *
 * One pass over the text; each skip_ function below is called on the first character of what it
 * skips and answers where that ends, or NULL when it doesn't.
 */
#include "load/script.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "load/characters.h"

/* A two-character variable may become "$64". */
#define GROWTH 2

typedef struct Scan
{
	PerfoptScript *script;
	PerfoptStatement *statement;
	const char *sql;
	PerfoptScriptError *error;
	const char *at;
	char *out;
	int parens;
	int brackets;
	bool begun; /* something other than space and comments was seen */
} Scan;

/* In SQL, names may hold a dollar sign too. */
static bool
is_word(char c)
{
	return is_name(c) || c == '$';
}

static const char *
skip_quoted(const char *p, bool backslashes)
{
	char quote = *p++;

	for (; *p != '\0'; p++)
	{
		if (backslashes && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == quote && *++p != quote)
			return p;
	}
	return NULL;
}

static const char *
skip_comment(const char *p)
{
	int depth = 0;

	for (; *p != '\0'; p++)
	{
		if (p[0] == '/' && p[1] == '*')
		{
			depth++;
			p++;
		}
		else if (p[0] == '*' && p[1] == '/')
		{
			p++;
			if (--depth == 0)
				return p + 1;
		}
	}
	return NULL;
}

static const char *
skip_line_comment(const char *p)
{
	return p + strcspn(p, "\r\n");
}

/* Length of $tag$ at p, 0 when there is none. */
static size_t
dollar_tag(const char *p)
{
	const char *end = p + 1;

	if (is_name_start(*end))
		while (is_name(*end))
			end++;
	return *end == '$' ? (size_t) (end - p) + 1 : 0;
}

static const char *
skip_dollar_quoted(const char *p, size_t tag)
{
	const char *end = p + tag;

	while ((end = strchr(end, '$')) != NULL)
	{
		if (strncmp(end, p, tag) == 0)
			return end + tag;
		end++;
	}
	return NULL;
}

static bool
fail(Scan *scan, const char *at, const char *message)
{
	scan->error->offset = at - scan->script->text;
	snprintf(scan->error->message, sizeof(scan->error->message), "%s", message);
	return false;
}

static void
copy_to(Scan *scan, const char *end)
{
	size_t n = end - scan->at;

	memcpy(scan->out, scan->at, n);
	scan->out += n;
	scan->at = end;
}

/* Copies up to `end`, which is NULL when what began here never ends. */
static bool
take(Scan *scan, const char *end, const char *unterminated)
{
	if (end == NULL)
		return fail(scan, scan->at, unterminated);
	scan->begun = true;
	copy_to(scan, end);
	return true;
}

static int
find_variable(const PerfoptScript *script, const char *name, size_t length)
{
	for (int i = 0; i < script->nvariables; i++)
		if (strlen(script->variables[i]) == length &&
			strncmp(script->variables[i], name, length) == 0)
			return i;
	return -1;
}

/* The number of the statement's parameter that stands for this variable; 0 when there are too many. */
static int
parameter_number(PerfoptStatement *statement, int variable)
{
	for (int i = 0; i < statement->nparams; i++)
		if (statement->params[i] == variable)
			return i + 1;
	if (statement->nparams == PERFOPT_SCRIPT_MAX_PARAMS)
		return 0;
	statement->params[statement->nparams++] = variable;
	return statement->nparams;
}

static bool
add_place(Scan *scan, int number)
{
	PerfoptStatement *statement = scan->statement;

	if (statement->nplaces == PERFOPT_SCRIPT_MAX_PLACES)
		return fail(scan, scan->at, "too many uses of variables in one statement");
	statement->places[statement->nplaces].offset = (int) (scan->out - scan->sql);
	statement->places[statement->nplaces++].param = number - 1;
	return true;
}

/* Does a colon here, inside brackets, follow an operand without space between? */
static bool
follows_operand(const Scan *scan)
{
	char before = scan->at > scan->script->text ? scan->at[-1] : '\0';

	return is_word(before) || before == ')' || before == ']' || before == '\'' || before == '"';
}

/* At a colon that is followed by a name. */
static bool
take_variable(Scan *scan)
{
	const char *name = scan->at + 1;
	size_t length = 0;
	int variable;
	int number;

	while (is_name(name[length]))
		length++;
	variable = find_variable(scan->script, name, length);

	if (scan->brackets > 0 && (variable < 0 || follows_operand(scan)))
		return take(scan, scan->at + 1, "");
	if (variable < 0 && scan->script->unknown != NULL)
		variable = scan->script->unknown(scan->script->arg, name, length);
	if (variable < 0)
	{
		fail(scan, scan->at, "");
		snprintf(scan->error->message, sizeof(scan->error->message),
				 "there is no variable \"%.*s\"", (int) (length < 100 ? length : 100), name);
		scan->error->hint = "Define it in the operation's variables, or write :: for a cast.";
		return false;
	}

	number = parameter_number(scan->statement, variable);
	if (number == 0)
		return fail(scan, scan->at, "too many variables in one statement");
	if (!add_place(scan, number))
		return false;
	scan->out += sprintf(scan->out, "$%d", number);
	scan->at = name + length;
	scan->begun = true;

	/* ":a1" is not "$1" followed by a digit that belongs to something else. */
	if (is_word(*scan->at))
		*scan->out++ = ' ';
	return true;
}

static bool
take_colon(Scan *scan)
{
	if (scan->at[1] == ':' || scan->at[1] == '=')
		return take(scan, scan->at + 2, "");
	if (is_name_start(scan->at[1]))
		return take_variable(scan);
	return take(scan, scan->at + 1, "");
}

static bool
take_dollar(Scan *scan)
{
	size_t tag = dollar_tag(scan->at);

	if (tag > 0)
		return take(scan, skip_dollar_quoted(scan->at, tag), "unterminated dollar-quoted string");
	if (is_digit(scan->at[1]))
	{
		scan->error->hint = "Use :name, and say in the operation's variables how it is drawn.";
		return fail(scan, scan->at, "numbered parameters can't be used in a script");
	}
	return take(scan, scan->at + 1, "");
}

/* A name, keyword or number; an E right before a quote belongs to the string. */
static bool
take_word(Scan *scan)
{
	const char *end = scan->at;

	while (is_word(*end))
		end++;
	if (end - scan->at == 1 && (*scan->at == 'e' || *scan->at == 'E') && *end == '\'')
		return take(scan, skip_quoted(end, true), "unterminated string");
	if (!scan->begun && end - scan->at == 4 && strncasecmp(scan->at, "copy", 4) == 0)
		return fail(scan, scan->at, "COPY can't be used in a script");
	return take(scan, end, "");
}

static bool
take_other(Scan *scan)
{
	switch (*scan->at)
	{
		case '(':
			scan->parens++;
			break;
		case ')':
			scan->parens -= scan->parens > 0;
			break;
		case '[':
			scan->brackets++;
			break;
		case ']':
			scan->brackets -= scan->brackets > 0;
			break;
		case '\\':
			return fail(scan, scan->at, "a backslash command inside parentheses");
		default:
			break;
	}
	return take(scan, scan->at + 1, "");
}

/* Space and comments; they are kept inside a statement and dropped before it. */
static bool
take_blank(Scan *scan, const char *end)
{
	if (end == NULL)
		return fail(scan, scan->at, "unterminated comment");
	if (scan->begun)
		copy_to(scan, end);
	else
		scan->at = end;
	return true;
}

static bool
take_token(Scan *scan)
{
	const char *p = scan->at;

	if (is_space(*p))
		return take_blank(scan, p + 1);
	if (p[0] == '-' && p[1] == '-')
		return take_blank(scan, skip_line_comment(p));
	if (p[0] == '/' && p[1] == '*')
		return take_blank(scan, skip_comment(p));
	if (!scan->begun)
		scan->statement->offset = p - scan->script->text;
	if (*p == '\'')
		return take(scan, skip_quoted(p, false), "unterminated string");
	if (*p == '"')
		return take(scan, skip_quoted(p, false), "unterminated quoted name");
	if (*p == '$')
		return take_dollar(scan);
	if (*p == ':')
		return take_colon(scan);
	if (is_word(*p))
		return take_word(scan);
	return take_other(scan);
}

size_t
perfopt_script_buffer_size(const char *text)
{
	return strlen(text) * GROWTH + 1;
}

void
perfopt_script_init(PerfoptScript *script, const char *text, const char *const *variables,
					int nvariables)
{
	script->text = text;
	script->variables = variables;
	script->nvariables = nvariables;
	script->unknown = NULL;
	script->arg = NULL;
	script->offset = 0;
}

static PerfoptStretch
stretch(const PerfoptScript *script, const char *begin, const char *end)
{
	while (begin < end && is_space(*begin))
		begin++;
	while (begin < end && is_space(end[-1]))
		end--;
	return (PerfoptStretch){ begin - script->text, end - begin };
}

/* The end of a command's line, which a backslash before it puts off. */
static const char *
skip_line(const char *p)
{
	for (; *p != '\0' && *p != '\n'; p++)
	{
		if (*p == '\\' && p[1] == '\n')
			p++;
		else if (*p == '\\' && p[1] == '\r' && p[2] == '\n')
			p += 2;
	}
	return p;
}

/* At a backslash; returns where the command's line ends. */
static const char *
read_command(const PerfoptScript *script, const char *p, PerfoptCommand *command)
{
	const char *end = skip_line(p);
	const char *name_end = p + 1;

	while (is_word(*name_end))
		name_end++;
	command->offset = p - script->text;
	command->name = stretch(script, p + 1, name_end);
	command->arguments = stretch(script, name_end, end);
	return end;
}

static bool
is_gset(const PerfoptScript *script, const PerfoptCommand *command)
{
	return command->name.length == 4 &&
		   strncmp(script->text + command->name.offset, "gset", 4) == 0;
}

static PerfoptScriptResult
end_statement(const Scan *scan)
{
	char *out = scan->out;

	while (out > scan->sql && is_space(out[-1]))
		out--;
	*out = '\0';
	scan->statement->length = out - scan->sql;
	return PERFOPT_SCRIPT_STATEMENT;
}

/* At a backslash after a statement or by itself. */
static PerfoptScriptResult
take_command(Scan *scan, PerfoptCommand *command)
{
	PerfoptScript *script = scan->script;
	const char *end = read_command(script, scan->at, command);

	if (!scan->begun && is_gset(script, command))
	{
		scan->error->hint = "It goes in the place of the semicolon that would end the statement.";
		(void) fail(scan, scan->at, "\\gset follows no statement");
		return PERFOPT_SCRIPT_ERROR;
	}
	if (scan->begun && !is_gset(script, command))
	{
		script->offset = scan->at - script->text;
		return end_statement(scan);
	}
	script->offset = end - script->text;
	if (!scan->begun)
		return PERFOPT_SCRIPT_COMMAND;
	scan->statement->gset = true;
	scan->statement->prefix = command->arguments;
	return end_statement(scan);
}

PerfoptScriptResult
perfopt_script_next(PerfoptScript *script, char *sql, PerfoptStatement *statement,
					PerfoptCommand *command, PerfoptScriptError *error)
{
	Scan scan = { .script = script,
				  .statement = statement,
				  .sql = sql,
				  .error = error,
				  .at = script->text + script->offset,
				  .out = sql };

	statement->nparams = statement->nplaces = 0;
	statement->gset = false;
	error->hint = NULL;
	for (;;)
	{
		bool end = *scan.at == '\0';

		if (end || (*scan.at == ';' && scan.parens == 0))
		{
			script->offset = scan.at - script->text + (end ? 0 : 1);
			if (scan.begun)
				return end_statement(&scan);
			if (end)
				return PERFOPT_SCRIPT_END;
			scan.at++;
		}
		else if (*scan.at == '\\' && scan.parens == 0)
			return take_command(&scan, command);
		else if (!take_token(&scan))
			return PERFOPT_SCRIPT_ERROR;
	}
}
