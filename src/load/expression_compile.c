/*
 * expression_compile.c
 *	  From an expression's text to the instructions that evaluate it.
 *
 * An operator-precedence parser that emits each operator after its operands.  AND, OR and CASE become
 * jumps.
 */
#include "load/expression_lex.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define LONGEST_FUNCTION 18

typedef struct Function
{
	const char *name;
	Op op;
	int least; /* arguments */
	int most;
	bool seed; /* the last one may be left out for :default_seed */
	const char *mean_this;
	const char *call_it;
} Function;

typedef struct Parser
{
	Lexer lexer;
	PerfoptVariableLookup lookup;
	void *lookup_arg;
	PerfoptInstruction *code;
	int capacity;
	int n;
	int depth; /* of the stack, at run time */
	int nesting;
} Parser;

#define FUNCTION(name, op, least, most, seed, signature)            \
	{                                                               \
		name, op, least, most, seed, "Did you mean " signature "?", \
			"It is called as " signature "."                        \
	}

static const Function functions[] = {
	FUNCTION("abs", OP_ABS, 1, 1, false, "abs(number)"),
	FUNCTION("debug", OP_DEBUG, 1, 1, false, "debug(value)"),
	FUNCTION("double", OP_TO_DOUBLE, 1, 1, false, "double(number)"),
	FUNCTION("exp", OP_EXP, 1, 1, false, "exp(number)"),
	FUNCTION("greatest", OP_GREATEST, 1, PERFOPT_EXPRESSION_MAX_ARGS, false,
			 "greatest(number, ...)"),
	FUNCTION("hash", OP_HASH_MURMUR2, 2, 2, true, "hash(value [, seed])"),
	FUNCTION("hash_fnv1a", OP_HASH_FNV1A, 2, 2, true, "hash_fnv1a(value [, seed])"),
	FUNCTION("hash_murmur2", OP_HASH_MURMUR2, 2, 2, true, "hash_murmur2(value [, seed])"),
	FUNCTION("int", OP_TO_INT, 1, 1, false, "int(number)"),
	FUNCTION("least", OP_LEAST, 1, PERFOPT_EXPRESSION_MAX_ARGS, false, "least(number, ...)"),
	FUNCTION("ln", OP_LN, 1, 1, false, "ln(number)"),
	FUNCTION("mod", OP_MODULO, 2, 2, false, "mod(dividend, divisor)"),
	FUNCTION("permute", OP_PERMUTE, 3, 3, true, "permute(value, size [, seed])"),
	FUNCTION("pi", OP_PI, 0, 0, false, "pi()"),
	FUNCTION("pow", OP_POWER, 2, 2, false, "pow(base, exponent)"),
	FUNCTION("power", OP_POWER, 2, 2, false, "power(base, exponent)"),
	FUNCTION("random", OP_RANDOM, 2, 2, false, "random(low, high)"),
	FUNCTION("random_exponential", OP_RANDOM_EXPONENTIAL, 3, 3, false,
			 "random_exponential(low, high, parameter)"),
	FUNCTION("random_gaussian", OP_RANDOM_GAUSSIAN, 3, 3, false,
			 "random_gaussian(low, high, parameter)"),
	FUNCTION("random_zipfian", OP_RANDOM_ZIPFIAN, 3, 3, false,
			 "random_zipfian(low, high, parameter)"),
	FUNCTION("sqrt", OP_SQRT, 1, 1, false, "sqrt(number)"),
};

static const char all_functions[] =
	"There are abs, debug, double, exp, greatest, hash, hash_fnv1a, hash_murmur2, int, least, ln, "
	"mod, permute, pi, pow, power, random, random_exponential, random_gaussian, random_zipfian and "
	"sqrt.";

static bool parse(Parser *p, Precedence least);

static bool
fail(Parser *p, const char *at, const char *message, const char *hint)
{
	return perfopt_lexer_fail(&p->lexer, at, message, hint);
}

static bool
fail_unexpected(Parser *p, const char *hint)
{
	return perfopt_lexer_unexpected(&p->lexer, hint);
}

static bool
next(Parser *p)
{
	return perfopt_lexer_next(&p->lexer);
}

/* Goes on behind this token, which must be here. */
static bool
expect(Parser *p, TokenKind kind, const char *hint)
{
	return p->lexer.token.kind == kind ? next(p) : fail_unexpected(p, hint);
}

/* Appends an instruction that takes nargs values, and answers with it, or NULL when there is no room. */
static PerfoptInstruction *
emit(Parser *p, Op op, int nargs, const char *at)
{
	PerfoptInstruction *instruction;

	p->depth += leaves_value(op) - nargs;
	if (p->depth > PERFOPT_EXPRESSION_MAX_STACK)
	{
		fail(p, at, "the expression is nested too deeply", NULL);
		return NULL;
	}
	if (p->n >= p->capacity)
	{
		fail(p, at, "the expression is too long", NULL);
		return NULL;
	}
	instruction = &p->code[p->n++];
	instruction->op = (uint16_t) op;
	instruction->nargs = (uint16_t) nargs;
	instruction->offset = (uint32_t) (at - p->lexer.text);
	instruction->i = 0;
	return instruction;
}

static bool
emit_op(Parser *p, Op op, int nargs, const char *at)
{
	return emit(p, op, nargs, at) != NULL;
}

static bool
emit_int(Parser *p, Op op, int64_t value, const char *at)
{
	PerfoptInstruction *instruction = emit(p, op, 0, at);

	if (instruction != NULL)
		instruction->i = value;
	return instruction != NULL;
}

static bool
emit_double(Parser *p, double value, const char *at)
{
	PerfoptInstruction *instruction = emit(p, OP_DOUBLE, 0, at);

	if (instruction != NULL)
		instruction->d = value;
	return instruction != NULL;
}

/* A jump from `jump` to what is emitted next. */
static void
land(Parser *p, PerfoptInstruction *jump)
{
	jump->i = p->n;
}

static bool
emit_variable(Parser *p, const char *name, size_t length, const char *at)
{
	int variable = p->lookup(p->lookup_arg, name, length);

	if (variable < 0)
	{
		fail(p, at, "",
			 "Assign it with \\set or \\gset before, or define it in the operation's variables.");
		snprintf(p->lexer.error->message, sizeof(p->lexer.error->message),
				 "there is no variable \"%.*s\"", quoted_length(name, length), name);
		return false;
	}
	return emit_int(p, OP_VARIABLE, variable, at);
}

static int
smaller(int a, int b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, without regard to case; too long names are far from everything. */
static int
edit_distance(const char *name, size_t length, const char *other)
{
	int row[LONGEST_FUNCTION + 1];
	int nother = (int) strlen(other);

	if (length > LONGEST_FUNCTION + 2)
		return LONGEST_FUNCTION;
	for (int j = 0; j <= nother; j++)
		row[j] = j;
	for (size_t i = 0; i < length; i++)
	{
		int diagonal = row[0]++;

		for (int j = 1; j <= nother; j++)
		{
			bool differs = strncasecmp(&name[i], &other[j - 1], 1) != 0;
			int here = smaller(diagonal + differs, smaller(row[j], row[j - 1]) + 1);

			diagonal = row[j];
			row[j] = here;
		}
	}
	return row[nother];
}

static const Function *
find_function(const Token *name)
{
	for (size_t i = 0; i < LENGTH(functions); i++)
		if (strlen(functions[i].name) == name->length &&
			strncasecmp(functions[i].name, name->start, name->length) == 0)
			return &functions[i];
	return NULL;
}

static bool
fail_function(Parser *p, const Token *name)
{
	const char *hint = all_functions;
	int nearest = 3; /* more letters wrong than this and it is another word */

	for (size_t i = 0; i < LENGTH(functions); i++)
	{
		int far = edit_distance(name->start, name->length, functions[i].name);

		if (far < nearest && far * 2 <= (int) name->length)
		{
			nearest = far;
			hint = functions[i].mean_this;
		}
	}
	fail(p, name->start, "", hint);
	snprintf(p->lexer.error->message, sizeof(p->lexer.error->message),
			 "there is no function \"%.*s\"", quoted_length(name->start, name->length),
			 name->start);
	return false;
}

static bool
fail_arity(Parser *p, const Function *function, int nargs, const char *at)
{
	fail(p, at, "", function->call_it);
	snprintf(p->lexer.error->message, sizeof(p->lexer.error->message),
			 nargs > function->most ? "too many arguments for function %s"
									: "too few arguments for function %s",
			 function->name);
	return false;
}

/* Arguments up to the closing parenthesis; how many, or -1. */
static int
parse_arguments(Parser *p)
{
	int nargs = 0;

	if (p->lexer.token.kind == TOKEN_CLOSE)
		return next(p) ? 0 : -1;
	for (;;)
	{
		if (!parse(p, ANY))
			return -1;
		nargs++;
		if (p->lexer.token.kind != TOKEN_COMMA)
			return expect(p, TOKEN_CLOSE, "Arguments are separated by commas.") ? nargs : -1;
		if (!next(p))
			return -1;
	}
}

static bool
parse_function(Parser *p)
{
	Token name = p->lexer.token;
	const Function *function = find_function(&name);
	int nargs;

	if (!next(p))
		return false;
	if (p->lexer.token.kind != TOKEN_OPEN)
	{
		p->lexer.token = name;
		return fail_unexpected(p, function != NULL ? function->call_it
												   : "A variable is written :name.");
	}
	if (function == NULL)
		return fail_function(p, &name);
	if (!next(p))
		return false;
	nargs = parse_arguments(p);
	if (nargs < 0)
		return false;
	if (function->seed && nargs == function->least - 1)
	{
		nargs++;
		if (!emit_variable(p, "default_seed", strlen("default_seed"), name.start))
			return false;
	}
	if (nargs < function->least || nargs > function->most)
		return fail_arity(p, function, nargs, name.start);
	return emit_op(p, function->op, nargs, name.start);
}

/* The jumps to the end are chained through their targets until it is known where that is. */
static bool
parse_case(Parser *p)
{
	const char *start = p->lexer.token.start;
	int64_t chain = -1;

	if (!next(p))
		return false;
	if (p->lexer.token.kind != TOKEN_WHEN)
		return fail_unexpected(p, "Only CASE WHEN condition THEN value ... END is known.");
	while (p->lexer.token.kind == TOKEN_WHEN)
	{
		PerfoptInstruction *unless;
		PerfoptInstruction *jump;

		if (!next(p) || !parse(p, ANY))
			return false;
		unless = emit(p, OP_UNLESS, 1, start);
		if (unless == NULL || !expect(p, TOKEN_THEN, "THEN is missing.") || !parse(p, ANY))
			return false;
		jump = emit(p, OP_JUMP, 0, start);
		if (jump == NULL)
			return false;
		jump->i = chain;
		chain = p->n - 1;
		land(p, unless);
		p->depth--; /* the value is there on the other way only */
	}
	if (p->lexer.token.kind == TOKEN_ELSE)
	{
		if (!next(p) || !parse(p, ANY))
			return false;
	}
	else if (!emit_op(p, OP_NULL, 0, start))
		return false;
	while (chain >= 0)
	{
		PerfoptInstruction *jump = &p->code[chain];

		chain = jump->i;
		land(p, jump);
	}
	return expect(p, TOKEN_CASE_END, "END is missing.");
}

/* Minus x is 0 - x, and ~x is -1 # x. */
static bool
parse_unary(Parser *p)
{
	Token sign = p->lexer.token;

	if (!next(p))
		return false;
	if (sign.kind == TOKEN_NOT)
		return parse(p, NOT) && emit_op(p, OP_NOT, 1, sign.start);
	if (sign.kind == TOKEN_TILDE)
		return emit_int(p, OP_INT, -1, sign.start) && parse(p, SUM) &&
			   emit_op(p, OP_BIT_XOR, 2, sign.start);
	if (sign.op == OP_ADD)
		return parse(p, UNARY);
	if (p->lexer.token.kind == TOKEN_INT_MIN)
		return emit_int(p, OP_INT, INT64_MIN, sign.start) && next(p);
	return emit_int(p, OP_INT, 0, sign.start) && parse(p, UNARY) &&
		   emit_op(p, OP_SUBTRACT, 2, sign.start);
}

static bool
parse_nested(Parser *p)
{
	switch (p->lexer.token.kind)
	{
		case TOKEN_OPEN:
			return next(p) && parse(p, ANY) &&
				   expect(p, TOKEN_CLOSE, "A parenthesis is not closed.");
		case TOKEN_NAME:
			return parse_function(p);
		case TOKEN_CASE:
			return parse_case(p);
		default:
			return parse_unary(p);
	}
}

static bool
fail_operand(Parser *p)
{
	const Token *token = &p->lexer.token;
	const char *hint = NULL;

	if (token->kind == TOKEN_INT_MIN)
		return fail(p, token->start, "the number is out of the range of integers",
					"With a decimal point it is a double.");
	if (token->kind == TOKEN_BINARY && token->op == OP_EQ)
		hint = "Values are compared with a single =.";
	else if (token->kind == TOKEN_BINARY && (token->op == OP_BIT_AND || token->op == OP_BIT_OR))
		hint = "Booleans are combined with AND and OR.";
	return fail_unexpected(p, hint);
}

static bool
parse_operand(Parser *p)
{
	Token token = p->lexer.token;
	bool done;

	switch (token.kind)
	{
		case TOKEN_INT:
			return emit_int(p, OP_INT, token.i, token.start) && next(p);
		case TOKEN_DOUBLE:
			return emit_double(p, token.d, token.start) && next(p);
		case TOKEN_NULL:
			return emit_op(p, OP_NULL, 0, token.start) && next(p);
		case TOKEN_TRUE:
		case TOKEN_FALSE:
			return emit_int(p, OP_BOOL, token.kind == TOKEN_TRUE, token.start) && next(p);
		case TOKEN_VARIABLE:
			return emit_variable(p, token.start + 1, token.length - 1, token.start) && next(p);
		case TOKEN_OPEN:
		case TOKEN_NAME:
		case TOKEN_CASE:
		case TOKEN_NOT:
		case TOKEN_TILDE:
			break;
		case TOKEN_BINARY:
			if (token.op == OP_ADD || token.op == OP_SUBTRACT)
				break;
			return fail_operand(p);
		default:
			return fail_operand(p);
	}

	if (p->nesting == PERFOPT_EXPRESSION_MAX_NESTING)
		return fail(p, token.start, "the expression is nested too deeply", NULL);
	p->nesting++;
	done = parse_nested(p);
	p->nesting--;
	return done;
}

/* At IS, ISNULL or NOTNULL, behind its operand. */
static bool
parse_is(Parser *p)
{
	Token is = p->lexer.token;
	bool negated = is.kind == TOKEN_NOTNULL;
	Op op = OP_IS_NULL;

	if (!next(p))
		return false;
	if (is.kind == TOKEN_IS)
	{
		if (p->lexer.token.kind == TOKEN_NOT)
		{
			negated = true;
			if (!next(p))
				return false;
		}
		if (p->lexer.token.kind == TOKEN_TRUE)
			op = OP_IS_TRUE;
		else if (p->lexer.token.kind == TOKEN_FALSE)
			op = OP_IS_FALSE;
		else if (p->lexer.token.kind != TOKEN_NULL)
			return fail_unexpected(
				p, "IS is followed by NULL, TRUE or FALSE, or NOT and one of them.");
		if (!next(p))
			return false;
	}
	return emit_op(p, op, 1, is.start) && (!negated || emit_op(p, OP_NOT, 1, is.start));
}

/* At AND or OR, behind its left side. */
static bool
parse_logical(Parser *p)
{
	Token token = p->lexer.token;
	bool is_and = token.kind == TOKEN_AND;
	PerfoptInstruction *decide = emit(p, is_and ? OP_AND : OP_OR, 1, token.start);

	if (decide == NULL || !next(p) || !parse(p, is_and ? NOT : AND) ||
		!emit_op(p, OP_LOGICAL, 1, token.start))
		return false;
	land(p, decide);
	return true;
}

/* How tightly this token binds what precedes it; ANY if it doesn't. */
static Precedence
binding(const Token *token)
{
	switch (token->kind)
	{
		case TOKEN_OR:
			return OR;
		case TOKEN_AND:
			return AND;
		case TOKEN_IS:
		case TOKEN_ISNULL:
		case TOKEN_NOTNULL:
			return IS;
		case TOKEN_BINARY:
			return token->precedence;
		default:
			return ANY;
	}
}

/* An operand and all operators behind it that bind at least so tightly. */
static bool
parse(Parser *p, Precedence least)
{
	bool compared = false;

	if (!parse_operand(p))
		return false;
	for (;;)
	{
		Token token = p->lexer.token;
		Precedence precedence = binding(&token);

		if (precedence == ANY || precedence < least)
			return true;
		if (precedence == COMPARISON && compared)
			return fail_unexpected(p, "Comparisons don't chain; join two of them with AND.");
		compared = precedence == COMPARISON;

		if (precedence == IS)
		{
			if (!parse_is(p))
				return false;
		}
		else if (precedence <= AND)
		{
			if (!parse_logical(p))
				return false;
		}
		else if (!next(p) || !parse(p, precedence + 1) || !emit_op(p, token.op, 2, token.start))
			return false;
	}
}

int
perfopt_expression_compile(const char *text, size_t length, PerfoptVariableLookup lookup,
						   void *lookup_arg, PerfoptInstruction *code, int capacity,
						   PerfoptScriptError *error)
{
	Parser p = { .lexer = { .text = text, .end = text + length, .at = text, .error = error },
				 .lookup = lookup,
				 .lookup_arg = lookup_arg,
				 .code = code,
				 .capacity = capacity };

	if (length > PERFOPT_EXPRESSION_MAX_LENGTH)
	{
		fail(&p, text, "the expression is too long", NULL);
		return -1;
	}
	if (!next(&p) || !parse(&p, ANY))
		return -1;
	if (p.lexer.token.kind != TOKEN_END)
	{
		fail_unexpected(&p, p.lexer.token.kind == TOKEN_CLOSE ? "No parenthesis is open." : NULL);
		return -1;
	}
	return p.n;
}
