/*
 * test_script.c
 *	  Splitting scripts and finding variables, as the server's own lexer would read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load/script.h"
#include "prng.h"

static const char *const variables[] = { "id", "n", "long_name" };

/*
 * What a script is read as: its statements, separated by '|', each followed by the names of its
 * parameters in braces, and commands as <name>(arguments); or "error OFFSET: message".
 */
static const char *
read_script(const char *text)
{
	static char out[4096];
	char *sql = malloc(perfopt_script_buffer_size(text));
	PerfoptScript script;
	PerfoptStatement statement;
	PerfoptCommand command;
	PerfoptScriptError error;
	PerfoptScriptResult result;
	size_t n = 0;

	out[0] = '\0';
	perfopt_script_init(&script, text, variables, 3);
	while ((result = perfopt_script_next(&script, sql, &statement, &command, &error)) ==
			   PERFOPT_SCRIPT_STATEMENT ||
		   result == PERFOPT_SCRIPT_COMMAND)
	{
		n += (size_t) snprintf(out + n, sizeof(out) - n, "%s", n > 0 ? "|" : "");
		if (result == PERFOPT_SCRIPT_COMMAND)
		{
			n += (size_t) snprintf(out + n, sizeof(out) - n, "<%.*s>(%.*s)",
								   (int) command.name.length, text + command.name.offset,
								   (int) command.arguments.length, text + command.arguments.offset);
			continue;
		}
		assert_int_equal(strlen(sql), statement.length);
		n += (size_t) snprintf(out + n, sizeof(out) - n, "%s", sql);
		for (int i = 0; i < statement.nplaces; i++)
			assert_int_equal(strtol(sql + statement.places[i].offset + 1, NULL, 10),
							 statement.places[i].param + 1);
		if (statement.gset)
			n += (size_t) snprintf(out + n, sizeof(out) - n, " => %.*s*",
								   (int) statement.prefix.length, text + statement.prefix.offset);
		for (int i = 0; i < statement.nparams; i++)
			n +=
				(size_t) snprintf(out + n, sizeof(out) - n, "{%s}", variables[statement.params[i]]);
	}
	if (result == PERFOPT_SCRIPT_ERROR)
		snprintf(out, sizeof(out), "error %d: %s", (int) error.offset, error.message);
	free(sql);
	return out;
}

#define READS(text, expected) assert_string_equal(read_script(text), expected)

static void
statements_are_split(void **state)
{
	(void) state;
	READS("", "");
	READS(" ;; -- nothing\n /* at all */ ;", "");
	READS("SELECT 1", "SELECT 1");
	READS("BEGIN; SELECT 1 ;\nEND;\n", "BEGIN|SELECT 1|END");
	READS("/* first */ SELECT 1 -- one; not two\n; SELECT 2", "SELECT 1 -- one; not two|SELECT 2");
	READS("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
		  "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)|SELECT 3");
}

static void
variables_become_parameters(void **state)
{
	(void) state;
	READS("SELECT :id", "SELECT $1{id}");
	READS("SELECT :n, :id, :n", "SELECT $1, $2, $1{n}{id}");
	READS("SELECT :id; SELECT :n", "SELECT $1{id}|SELECT $1{n}");
	READS("SELECT :long_name::int", "SELECT $1::int{long_name}");
	READS("SELECT -:id+:n", "SELECT -$1+$2{id}{n}");
	READS("f(:id,:n)", "f($1,$2){id}{n}");
}

static void
quoted_text_is_left_alone(void **state)
{
	(void) state;
	READS("SELECT ':id;', 'it''s :n'", "SELECT ':id;', 'it''s :n'");
	READS("SELECT \":id;\"\"\", :id", "SELECT \":id;\"\"\", $1{id}");
	READS("SELECT 'a\\'; SELECT :id", "SELECT 'a\\'|SELECT $1{id}");
	READS("SELECT E'a\\';:id', e'\\\\', :id", "SELECT E'a\\';:id', e'\\\\', $1{id}");
	READS("SELECT name'x\\'; SELECT 2", "SELECT name'x\\'|SELECT 2");
	READS("SELECT $$:id; '$$, $a$ $$ ; $b$ $a$, :id",
		  "SELECT $$:id; '$$, $a$ $$ ; $b$ $a$, $1{id}");
	READS("SELECT a$b$ + :id, c$b$", "SELECT a$b$ + $1, c$b${id}");
	READS("SELECT /* /* :id ; */ ; */ :n", "SELECT /* /* :id ; */ ; */ $1{n}");
	READS("SELECT 1 --:id\n+:n", "SELECT 1 --:id\n+$1{n}");
}

static void
other_colons_are_left_alone(void **state)
{
	(void) state;
	READS("SELECT 1::int, x::id", "SELECT 1::int, x::id");
	READS("f(a := :id)", "f(a := $1){id}");
	READS("SELECT a[1:2], a[n:m], a[id:n]", "SELECT a[1:2], a[n:m], a[id:n]");
	READS("SELECT a[:id], a[f(:id):n]", "SELECT a[$1], a[f($1):n]{id}");
	READS("SELECT a[: 2], a[1: :n], ARRAY[:id,:n]", "SELECT a[: 2], a[1: $1], ARRAY[$2,$1]{n}{id}");
	READS("SELECT a[:m]", "SELECT a[:m]");
}

static void
mistakes_have_a_place(void **state)
{
	(void) state;
	READS("SELECT 1; SELECT :nobody", "error 17: there is no variable \"nobody\"");
	READS("SELECT :Id", "error 7: there is no variable \"Id\"");
	READS("SELECT 'a", "error 7: unterminated string");
	READS("SELECT E'a\\'", "error 7: unterminated string");
	READS("SELECT \"a", "error 7: unterminated quoted name");
	READS("SELECT 1 /* /* */", "error 9: unterminated comment");
	READS("SELECT $x$ $y$", "error 7: unterminated dollar-quoted string");
	READS("SELECT $1", "error 7: numbered parameters can't be used in a script");
	READS("SELECT (1 \\gset)", "error 10: a backslash command inside parentheses");
	READS("SELECT 1; \\gset", "error 10: \\gset follows no statement");
	READS("SELECT 1; copy t FROM stdin", "error 10: COPY can't be used in a script");
}

static void
commands_take_a_line(void **state)
{
	(void) state;
	READS("\\set id 1", "<set>(id 1)");
	READS("\\set n :id + \\\n 1 \nSELECT :n;\n\\sleep 5 ms\n",
		  "<set>(n :id + \\\n 1)|SELECT $1{n}|<sleep>(5 ms)");
	READS("SELECT 1\n\\sleep 1\nSELECT 2", "SELECT 1|<sleep>(1)|SELECT 2");
	READS("SELECT 1 AS n \\gset\nSELECT :n", "SELECT 1 AS n => *|SELECT $1{n}");
	READS("SELECT 1 AS n\n\\gset p_\n", "SELECT 1 AS n => p_*");
	READS("SELECT 'a\\b', \"\\\", $$\\$$", "SELECT 'a\\b', \"\\\", $$\\$$");
	READS("\\if :n = 1\nSELECT 1;\n\\endif", "<if>(:n = 1)|SELECT 1|<endif>()");
	READS("\\\\", "<>(\\)");
}

static void
too_many_variables_are_refused(void **state)
{
	enum
	{
		N = PERFOPT_SCRIPT_MAX_PARAMS + 1
	};
	static char names[N][16];
	const char *list[N];
	char text[N * 8] = "SELECT ";
	char sql[2 * sizeof(text) + 1];
	PerfoptScript script;
	PerfoptStatement statement;
	PerfoptCommand command;
	PerfoptScriptError error;

	(void) state;
	for (int i = 0; i < N; i++)
	{
		snprintf(names[i], sizeof(names[i]), "v%d", i);
		list[i] = names[i];
		if (i < N - 1)
			sprintf(text + strlen(text), "%s:v%d", i > 0 ? "," : "", i);
	}
	perfopt_script_init(&script, text, list, N);
	assert_int_equal(perfopt_script_next(&script, sql, &statement, &command, &error),
					 PERFOPT_SCRIPT_STATEMENT);
	assert_int_equal(statement.nparams, PERFOPT_SCRIPT_MAX_PARAMS);

	sprintf(text + strlen(text), ",:v%d", N - 1);
	perfopt_script_init(&script, text, list, N);
	assert_int_equal(perfopt_script_next(&script, sql, &statement, &command, &error),
					 PERFOPT_SCRIPT_ERROR);
}

/* Whatever the text: it ends, stays in its buffer (the sanitizers watch), and errors lie within it. */
static void
any_text_is_survived(void **state)
{
	static const char alphabet[] = "':\"$;()[]-/*\\eE1ai d\n,=";
	uint64_t seed = 7;
	const char *short_names[] = { "a", "i" };

	(void) state;
	for (int round = 0; round < 20000; round++)
	{
		size_t length = prng_next(&seed) % 40;
		char *text = malloc(length + 1);
		char *sql;
		PerfoptScript script;
		PerfoptStatement statement;
		PerfoptCommand command;
		PerfoptScriptError error;
		PerfoptScriptResult result;
		int n = 0;

		for (size_t i = 0; i < length; i++)
			text[i] = alphabet[prng_next(&seed) % (sizeof(alphabet) - 1)];
		text[length] = '\0';
		sql = malloc(perfopt_script_buffer_size(text));
		perfopt_script_init(&script, text, short_names, 2);
		while ((result = perfopt_script_next(&script, sql, &statement, &command, &error)) ==
				   PERFOPT_SCRIPT_STATEMENT ||
			   result == PERFOPT_SCRIPT_COMMAND)
		{
			if (result == PERFOPT_SCRIPT_STATEMENT)
				assert_true(statement.length > 0 && statement.offset < length);
			else
				assert_true(command.arguments.offset + command.arguments.length <= length);
			assert_true(++n <= 40);
		}
		if (result == PERFOPT_SCRIPT_ERROR)
			assert_true(error.offset <= length);
		free(sql);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_are_split),
		cmocka_unit_test(variables_become_parameters),
		cmocka_unit_test(quoted_text_is_left_alone),
		cmocka_unit_test(other_colons_are_left_alone),
		cmocka_unit_test(mistakes_have_a_place),
		cmocka_unit_test(commands_take_a_line),
		cmocka_unit_test(too_many_variables_are_refused),
		cmocka_unit_test(any_text_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
