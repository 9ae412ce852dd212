/*
 * program.c
 *	  Turns an operation's script into steps: statements, and what backslash commands do between them.
 *
 * The commands are pgbench's: \set, \sleep, \if \elif \else \endif, and \gset after a statement.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "load/load.h"

#define MAX_STEPS 1000
#define MAX_CODE 20000
#define MAX_NESTING 20

/* An \if whose end has not come yet. */
typedef struct OpenIf
{
	size_t offset;
	int unless; /* the jump past the branch at hand, -1 in the last one */
	int nends;  /* jumps to the \endif */
	int ends[MAX_STEPS];
} OpenIf;

typedef struct Compiler
{
	LoadOperation *operation;
	PerfoptScript script;
	const char *names[256]; /* of its variables, as the scanner wants them */
	bool gset;              /* from there on names may come from a result */
	int nopen;
	OpenIf open[MAX_NESTING];
} Compiler;

static _Noreturn void
bad_script(const LoadOperation *operation, size_t offset, const char *message, const char *hint)
{
	const char *from = operation->script + offset;

	/* The server counts characters, from 1. */
	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("script of operation \"%s\": %s at character %d", operation->name,
						   message, pg_mbstrlen_with_len(operation->script, (int) offset) + 1),
					*from != '\0' ? errdetail("It reads from there: %.*s",
											  pg_mbcliplen(from, strlen(from), 60), from)
								  : 0,
					hint ? errhint("%s", hint) : 0));
}

/* Variables that pgbench has of itself; those of its options and its tables are not among them. */
static LoadDraw
builtin_draw(const char *name, size_t length)
{
	static const struct
	{
		const char *name;
		LoadDraw draw;
	} builtins[] = { { "client_id", LOAD_DRAW_USER },
					 { "random_seed", LOAD_DRAW_SEED },
					 { "default_seed", LOAD_DRAW_SEED } };

	for (int i = 0; i < lengthof(builtins); i++)
		if (strlen(builtins[i].name) == length && strncmp(builtins[i].name, name, length) == 0)
			return builtins[i].draw;
	return LOAD_DRAW_NOTHING;
}

/* A name that the scanner does not know: one of these, or else of a result. */
static int
unknown_name(void *arg, const char *name, size_t length)
{
	Compiler *compiler = arg;
	LoadOperation *operation = compiler->operation;
	LoadDraw draw = builtin_draw(name, length);
	int number = load_variable_find(operation, name, length);

	if (number >= 0 || (draw == LOAD_DRAW_NOTHING && !compiler->gset))
		return number;
	number = load_variable_add(operation, name, length);
	operation->variables[number].draw = draw;
	return number;
}

/* After variables were added. */
static void
show_names(Compiler *compiler)
{
	const LoadOperation *operation = compiler->operation;

	for (int i = 0; i < operation->nvariables; i++)
		compiler->names[i] = operation->variables[i].name;
	compiler->script.variables = compiler->names;
	compiler->script.nvariables = operation->nvariables;
}

static LoadStep *
add_step(Compiler *compiler, size_t offset, LoadStepKind kind)
{
	LoadOperation *operation = compiler->operation;
	LoadStep *step;

	if (operation->nsteps == MAX_STEPS)
		bad_script(operation, offset, "the script has too many steps", NULL);
	step = &operation->steps[operation->nsteps++];
	memset(step, 0, sizeof(*step));
	step->kind = kind;
	return step;
}

static int
find_name(void *arg, const char *name, size_t length)
{
	Compiler *compiler = arg;
	int number = load_variable_find(compiler->operation, name, length);

	return number >= 0 ? number : unknown_name(arg, name, length);
}

/* Where lines are joined the backslash is no part of the expression. */
static char *
without_joints(const char *text, size_t length)
{
	char *copy = pnstrdup(text, length);

	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\\' && (p[1] == '\n' || p[1] == '\r'))
			*p = ' ';
	return copy;
}

static void
compile_expression(Compiler *compiler, LoadStep *step, PerfoptStretch text)
{
	LoadOperation *operation = compiler->operation;
	char *source = without_joints(operation->script + text.offset, text.length);
	PerfoptScriptError error;
	int n;

	error.hint = NULL;
	n = perfopt_expression_compile(source, text.length, find_name, compiler,
								   operation->code + operation->ncode, MAX_CODE - operation->ncode,
								   &error);
	if (n < 0)
		bad_script(operation, text.offset + error.offset, error.message, error.hint);
	step->code = operation->ncode;
	step->ncode = n;
	operation->ncode += n;
	pfree(source);
}

static size_t
word_length(const char *text, size_t length)
{
	size_t n = 0;

	while (n < length && !isspace((unsigned char) text[n]))
		n++;
	return n;
}

static PerfoptStretch
after_word(const LoadOperation *operation, PerfoptStretch text, size_t word)
{
	PerfoptStretch rest = { text.offset + word, text.length - word };

	while (rest.length > 0 && isspace((unsigned char) operation->script[rest.offset]))
	{
		rest.offset++;
		rest.length--;
	}
	return rest;
}

static bool
is_variable_name(const char *name, size_t length)
{
	if (length == 0 || length > 64 || isdigit((unsigned char) name[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char) name[i]) && name[i] != '_' && !IS_HIGHBIT_SET(name[i]))
			return false;
	return true;
}

static void
compile_set(Compiler *compiler, const PerfoptCommand *command)
{
	LoadOperation *operation = compiler->operation;
	const char *name = operation->script + command->arguments.offset;
	size_t length = word_length(name, command->arguments.length);
	PerfoptStretch expression = after_word(operation, command->arguments, length);
	LoadStep *step;
	int variable;

	if (!is_variable_name(name, length) || expression.length == 0)
		bad_script(operation, command->offset, "\\set needs a name and an expression",
				   "For example: \\set id random(1, 1000)");
	step = add_step(compiler, command->offset, LOAD_STEP_SET);
	compile_expression(compiler, step, expression);
	variable = load_variable_find(operation, name, length);
	step->at = variable >= 0 ? variable : load_variable_add(operation, name, length);
	show_names(compiler);
}

/* \sleep number or :variable, and a unit. */
static void
compile_sleep(Compiler *compiler, const PerfoptCommand *command)
{
	static const struct
	{
		const char *name;
		int64 ns;
	} units[] = { { "s", LOAD_NS_PER_S }, { "ms", LOAD_NS_PER_MS }, { "us", LOAD_NS_PER_US } };
	LoadOperation *operation = compiler->operation;
	const char *text = operation->script + command->arguments.offset;
	PerfoptStretch number = command->arguments;
	PerfoptStretch unit;
	LoadStep *step;

	number.length = 0;
	while (number.length < command->arguments.length &&
		   (text[number.length] == ':' || text[number.length] == '.' ||
			text[number.length] == '_' || isalnum((unsigned char) text[number.length])) &&
		   !(number.length > 0 && isdigit((unsigned char) text[0]) &&
			 isalpha((unsigned char) text[number.length])))
		number.length++;
	unit = after_word(operation, command->arguments, number.length);
	if (number.length == 0)
		bad_script(operation, command->offset, "\\sleep needs a length of time",
				   "For example: \\sleep 10 ms");
	step = add_step(compiler, command->offset, LOAD_STEP_SLEEP);
	step->unit_ns = unit.length == 0 ? LOAD_NS_PER_S : 0;
	for (int i = 0; i < lengthof(units); i++)
		if (unit.length == strlen(units[i].name) &&
			pg_strncasecmp(operation->script + unit.offset, units[i].name, unit.length) == 0)
			step->unit_ns = units[i].ns;
	if (step->unit_ns == 0)
		bad_script(operation, unit.offset, "unknown unit of \\sleep", "Units are us, ms and s.");
	compile_expression(compiler, step, number);
}

static void
compile_if(Compiler *compiler, const PerfoptCommand *command)
{
	OpenIf *open;

	if (compiler->nopen == MAX_NESTING)
		bad_script(compiler->operation, command->offset, "\\if is nested too deep", NULL);
	if (command->arguments.length == 0)
		bad_script(compiler->operation, command->offset, "\\if needs a condition",
				   "For example: \\if :n > 1");
	open = &compiler->open[compiler->nopen++];
	open->offset = command->offset;
	open->nends = 0;
	open->unless = compiler->operation->nsteps;
	compile_expression(compiler, add_step(compiler, command->offset, LOAD_STEP_JUMP_UNLESS),
					   command->arguments);
}

static OpenIf *
innermost(Compiler *compiler, const PerfoptCommand *command, bool another)
{
	OpenIf *open = compiler->nopen > 0 ? &compiler->open[compiler->nopen - 1] : NULL;

	if (open == NULL)
		bad_script(compiler->operation, command->offset, "there is no \\if before", NULL);
	if (another && open->unless < 0)
		bad_script(compiler->operation, command->offset, "it comes after \\else", NULL);
	return open;
}

/* The branch at hand ends here: out of it to the \endif, and past it to what follows. */
static void
end_branch(Compiler *compiler, OpenIf *open, const PerfoptCommand *command)
{
	open->ends[open->nends++] = compiler->operation->nsteps;
	(void) add_step(compiler, command->offset, LOAD_STEP_JUMP);
	compiler->operation->steps[open->unless].at = compiler->operation->nsteps;
}

static void
compile_elif(Compiler *compiler, const PerfoptCommand *command)
{
	OpenIf *open = innermost(compiler, command, true);

	if (command->arguments.length == 0)
		bad_script(compiler->operation, command->offset, "\\elif needs a condition", NULL);
	end_branch(compiler, open, command);
	open->unless = compiler->operation->nsteps;
	compile_expression(compiler, add_step(compiler, command->offset, LOAD_STEP_JUMP_UNLESS),
					   command->arguments);
}

static void
compile_else(Compiler *compiler, const PerfoptCommand *command)
{
	OpenIf *open = innermost(compiler, command, true);

	end_branch(compiler, open, command);
	open->unless = -1;
}

static void
compile_endif(Compiler *compiler, const PerfoptCommand *command)
{
	OpenIf *open = innermost(compiler, command, false);
	LoadOperation *operation = compiler->operation;

	if (open->unless >= 0)
		operation->steps[open->unless].at = operation->nsteps;
	for (int i = 0; i < open->nends; i++)
		operation->steps[open->ends[i]].at = operation->nsteps;
	compiler->nopen--;
}

static void
compile_command(Compiler *compiler, const PerfoptCommand *command)
{
	static const struct
	{
		const char *name;
		void (*compile)(Compiler *compiler, const PerfoptCommand *command);
	} commands[] = { { "set", compile_set },   { "sleep", compile_sleep },
					 { "if", compile_if },     { "elif", compile_elif },
					 { "else", compile_else }, { "endif", compile_endif } };
	const LoadOperation *operation = compiler->operation;
	const char *name = operation->script + command->name.offset;

	for (int i = 0; i < lengthof(commands); i++)
	{
		if (strlen(commands[i].name) == command->name.length &&
			strncmp(commands[i].name, name, command->name.length) == 0)
		{
			commands[i].compile(compiler, command);
			return;
		}
	}
	bad_script(operation, command->offset,
			   psprintf("there is no command \"\\%.*s\"", (int) command->name.length, name),
			   "Known are \\set, \\sleep, \\if, \\elif, \\else, \\endif and, after a statement, "
			   "\\gset.");
}

static void
compile_statement(Compiler *compiler, const char *sql, const PerfoptStatement *scanned, int *room)
{
	LoadOperation *operation = compiler->operation;
	LoadStatement *to;

	if (operation->nstatements == *room)
	{
		*room *= 2;
		operation->statements = repalloc(operation->statements, sizeof(LoadStatement) * *room);
	}
	add_step(compiler, scanned->offset, LOAD_STEP_SQL)->at = operation->nstatements;
	to = &operation->statements[operation->nstatements++];
	memset(to, 0, sizeof(*to));
	to->sql = pnstrdup(sql, scanned->length);
	to->offset = (int) scanned->offset;
	to->nparams = scanned->nparams;
	memcpy(to->params, scanned->params, sizeof(int) * scanned->nparams);
	to->nplaces = scanned->nplaces;
	to->places = palloc(sizeof(struct LoadPlace) * Max(1, scanned->nplaces));
	for (int i = 0; i < scanned->nplaces; i++)
		to->places[i] = (struct LoadPlace){ scanned->places[i].offset, scanned->places[i].param };
	to->check = (LoadCheck){ -1, -1, NULL };
	to->gset = scanned->gset;
	if (scanned->gset)
	{
		to->prefix = pnstrdup(operation->script + scanned->prefix.offset, scanned->prefix.length);
		compiler->gset = true;
	}
}

void
load_program_compile(LoadOperation *operation)
{
	char *sql = palloc(perfopt_script_buffer_size(operation->script));
	Compiler *compiler = palloc0(sizeof(Compiler));
	PerfoptStatement *statement = palloc(sizeof(PerfoptStatement));
	PerfoptCommand command;
	PerfoptScriptError error;
	PerfoptScriptResult result;
	int room = 8;

	compiler->operation = operation;
	operation->statements = palloc(sizeof(LoadStatement) * room);
	operation->steps = palloc(sizeof(LoadStep) * MAX_STEPS);
	operation->code = palloc(sizeof(PerfoptInstruction) * MAX_CODE);
	perfopt_script_init(&compiler->script, operation->script, NULL, 0);
	compiler->script.unknown = unknown_name;
	compiler->script.arg = compiler;
	show_names(compiler);
	while ((result = perfopt_script_next(&compiler->script, sql, statement, &command, &error)) !=
		   PERFOPT_SCRIPT_END)
	{
		if (result == PERFOPT_SCRIPT_ERROR)
			bad_script(operation, error.offset, error.message, error.hint);
		if (result == PERFOPT_SCRIPT_COMMAND)
			compile_command(compiler, &command);
		else
			compile_statement(compiler, sql, statement, &room);
		show_names(compiler);
	}
	if (compiler->nopen > 0)
		bad_script(operation, compiler->open[compiler->nopen - 1].offset, "\\if without \\endif",
				   NULL);
	if (operation->nstatements == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("script of operation \"%s\" has no statement", operation->name)));
	operation->code =
		repalloc(operation->code, sizeof(PerfoptInstruction) * Max(1, operation->ncode));
	operation->steps = repalloc(operation->steps, sizeof(LoadStep) * Max(1, operation->nsteps));
	pfree(statement);
	pfree(compiler);
	pfree(sql);
}

/* {"statement": 2, "rows": 1} or {"rows": [0, 10]} or {"value": "ok"}; without a number, the last one. */
typedef struct CheckEntry
{
	LoadOperation *operation;
	int64 statement;
	LoadCheck check;
} CheckEntry;

static void
read_check(void *arg, const char *key, const JsonbValue *value)
{
	CheckEntry *entry = arg;

	if (strcmp(key, "statement") == 0)
		entry->statement =
			load_json_integer("statement", value, 1, entry->operation->nstatements, "1");
	else if (strcmp(key, "value") == 0 && value->type == jbvNumeric)
		entry->check.value =
			DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	else if (strcmp(key, "value") == 0)
		entry->check.value = load_json_string("value", value, "\"ok\"");
	else if (strcmp(key, "rows") == 0 && value->type == jbvBinary &&
			 JsonContainerIsArray(value->val.binary.data) &&
			 JsonContainerSize(value->val.binary.data) == 2)
	{
		entry->check.min_rows =
			load_json_integer("rows", getIthJsonbValueFromContainer(value->val.binary.data, 0), 0,
							  PG_INT32_MAX, "[1, 10]");
		entry->check.max_rows =
			load_json_integer("rows", getIthJsonbValueFromContainer(value->val.binary.data, 1),
							  entry->check.min_rows, PG_INT32_MAX, "[1, 10]");
	}
	else if (strcmp(key, "rows") == 0)
		entry->check.min_rows = entry->check.max_rows =
			load_json_integer("rows", value, 0, PG_INT32_MAX, "1");
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a check of operation \"%s\" can't have \"%s\"", entry->operation->name,
						key),
				 errhint("For example: [{\"statement\": 1, \"rows\": 1, \"value\": \"ok\"}].")));
}

void
load_program_checks(LoadOperation *operation, Jsonb *checks)
{
	if (!JB_ROOT_IS_ARRAY(checks) || JB_ROOT_IS_SCALAR(checks))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the checks of operation \"%s\" must be a JSON array", operation->name),
				 errhint("For example: [{\"statement\": 1, \"rows\": 1}].")));
	for (int i = 0; i < JB_ROOT_COUNT(checks); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(&checks->root, i);
		CheckEntry entry = { operation, operation->nstatements, { -1, -1, NULL } };

		if (value->type != jbvBinary)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a check of operation \"%s\" must be a JSON object", operation->name),
					 errhint("For example: {\"statement\": 1, \"rows\": 1}.")));
		load_json_each(&entry, value->val.binary.data, "a check", read_check);
		operation->statements[entry.statement - 1].check = entry.check;
	}
}
