/*
 * expression.c
 *	  The expressions of pgbench's \set and \if: compiled once, evaluated as often as needed.
 *
 * The compiler is an operator-precedence parser that emits each operator after its operands.  AND, OR
 * and CASE become jumps.  The first half of this file is the compiler, the second the machine.
 */
#include "load/expression.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PI 3.14159265358979323846
#define TWO_TO_63 9223372036854775808.0

/* A literal's digits; whoever writes more means something else. */
#define MAX_NUMBER 512

/* How much of a text an error message quotes. */
#define MAX_QUOTED 60

/* In the order of how many values they take, see takes(). */
typedef enum Op
{
	/* None: what pushes a value. */
	OP_NULL,
	OP_BOOL,
	OP_INT,
	OP_DOUBLE,
	OP_VARIABLE,
	OP_PI,
	/* What decides where to go on; the others take one value. */
	OP_JUMP,
	OP_UNLESS, /* jumps if its condition isn't true */
	OP_AND,    /* keeps its operand and jumps if that decides, else takes it */
	OP_OR,
	/* One, and NULL is as good as any. */
	OP_LOGICAL, /* the right side of AND and OR: NULL or a boolean, or an error */
	OP_IS_NULL,
	OP_IS_TRUE,
	OP_IS_FALSE,
	OP_DEBUG,
	/* One; these and all that follow are NULL if an argument is. */
	OP_NOT,
	OP_ABS,
	OP_TO_DOUBLE,
	OP_TO_INT,
	OP_EXP,
	OP_LN,
	OP_SQRT,
	/* Two. */
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_LT,
	OP_LE,
	OP_EQ,
	OP_NE,
	OP_GE,
	OP_GT,
	OP_MODULO,
	OP_BIT_AND,
	OP_BIT_OR,
	OP_BIT_XOR,
	OP_SHIFT_LEFT,
	OP_SHIFT_RIGHT,
	OP_POWER,
	OP_HASH_FNV1A,
	OP_HASH_MURMUR2,
	OP_RANDOM,
	/* Three. */
	OP_RANDOM_EXPONENTIAL,
	OP_RANDOM_GAUSSIAN,
	OP_RANDOM_ZIPFIAN,
	OP_PERMUTE,
	/* Any number. */
	OP_GREATEST,
	OP_LEAST,
	N_OPS
} Op;

/* From the loosest to the tightest, as in SQL; a unary operator's operand reaches to what is looser. */
typedef enum Precedence
{
	ANY,
	OR,
	AND,
	NOT,
	IS,
	COMPARISON,
	BITS,
	SUM,
	PRODUCT,
	UNARY
} Precedence;

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_INT,
	TOKEN_INT_MIN, /* 2^63, which only a minus makes an integer */
	TOKEN_DOUBLE,
	TOKEN_VARIABLE,
	TOKEN_NAME,
	TOKEN_BINARY, /* plus and minus may turn out to be unary */
	TOKEN_TILDE,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_NULL,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_NOT,
	TOKEN_IS,
	TOKEN_ISNULL,
	TOKEN_NOTNULL,
	TOKEN_CASE,
	TOKEN_WHEN,
	TOKEN_THEN,
	TOKEN_ELSE,
	TOKEN_CASE_END
} TokenKind;

typedef struct Token
{
	TokenKind kind;
	const char *start;
	size_t length;
	Op op; /* TOKEN_BINARY */
	Precedence precedence;
	int64_t i;
	double d;
} Token;

typedef struct Keyword
{
	const char *name;
	TokenKind kind;
} Keyword;

typedef struct Operator
{
	const char *name;
	Op op;
	Precedence precedence;
} Operator;

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
	const char *text;
	const char *end;
	const char *at; /* behind the token */
	Token token;
	PerfoptVariableLookup lookup;
	void *lookup_arg;
	PerfoptInstruction *code;
	int capacity;
	int n;
	int depth; /* of the stack, at run time */
	int nesting;
	PerfoptScriptError *error;
} Parser;

static const Keyword keywords[] = {
	{ "null", TOKEN_NULL }, { "true", TOKEN_TRUE },     { "false", TOKEN_FALSE },
	{ "and", TOKEN_AND },   { "or", TOKEN_OR },         { "not", TOKEN_NOT },
	{ "is", TOKEN_IS },     { "isnull", TOKEN_ISNULL }, { "notnull", TOKEN_NOTNULL },
	{ "case", TOKEN_CASE }, { "when", TOKEN_WHEN },     { "then", TOKEN_THEN },
	{ "else", TOKEN_ELSE }, { "end", TOKEN_CASE_END },
};

/* The longer ones first. */
static const Operator operators[] = {
	{ "<<", OP_SHIFT_LEFT, BITS }, { ">>", OP_SHIFT_RIGHT, BITS }, { "<=", OP_LE, COMPARISON },
	{ ">=", OP_GE, COMPARISON },   { "<>", OP_NE, COMPARISON },    { "!=", OP_NE, COMPARISON },
	{ "<", OP_LT, COMPARISON },    { ">", OP_GT, COMPARISON },     { "=", OP_EQ, COMPARISON },
	{ "|", OP_BIT_OR, BITS },      { "#", OP_BIT_XOR, BITS },      { "&", OP_BIT_AND, BITS },
	{ "+", OP_ADD, SUM },          { "-", OP_SUBTRACT, SUM },      { "*", OP_MULTIPLY, PRODUCT },
	{ "/", OP_DIVIDE, PRODUCT },   { "%", OP_MODULO, PRODUCT },
};

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

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define LONGEST_FUNCTION 18

static bool parse(Parser *p, Precedence least);

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		   (unsigned char) c >= 0x80;
}

static bool
is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

/* For "%.*s": how much of this to quote, without cutting a UTF-8 character in two. */
static int
quoted_length(const char *text, size_t length)
{
	if (length <= MAX_QUOTED)
		return (int) length;
	length = MAX_QUOTED;
	while (length > 0 && ((unsigned char) text[length] & 0xc0) == 0x80)
		length--;
	return (int) length;
}

static bool
fail(Parser *p, const char *at, const char *message, const char *hint)
{
	p->error->offset = (size_t) (at - p->text);
	snprintf(p->error->message, sizeof(p->error->message), "%s", message);
	p->error->hint = hint;
	return false;
}

static bool
fail_unexpected(Parser *p, const char *hint)
{
	const Token *token = &p->token;

	if (token->kind == TOKEN_END)
		return fail(p, token->start, "unexpected end of the expression", hint);
	fail(p, token->start, "", hint);
	snprintf(p->error->message, sizeof(p->error->message), "unexpected \"%.*s\"",
			 quoted_length(token->start, token->length), token->start);
	return false;
}

/* The character at p->at begins no token. */
static bool
fail_character(Parser *p)
{
	unsigned char c = (unsigned char) *p->at;
	const char *hint = NULL;

	if (c == '\'' || c == '"')
		hint = "An expression has numbers and booleans; text belongs into the SQL.";
	else if (c == '!')
		hint = "Negation is written NOT, and inequality <> or !=.";
	else if (c == '^')
		hint = "A power is written pow(base, exponent).";
	else if (c == ';')
		hint = "An expression ends with its line, without a semicolon.";
	else if (c == ':')
		hint = "A variable is written :name, without space.";
	fail(p, p->at, "", hint);
	if (c > ' ' && c < 0x7f)
		snprintf(p->error->message, sizeof(p->error->message), "unexpected character \"%c\"", c);
	else
		snprintf(p->error->message, sizeof(p->error->message), "unexpected character 0x%02x", c);
	return false;
}

/* How many characters from `at` on fulfil this. */
static size_t
span(const Parser *p, const char *at, bool (*is)(char))
{
	const char *end = at;

	while (end < p->end && is(*end))
		end++;
	return (size_t) (end - at);
}

static bool
digit_at(const Parser *p, const char *at)
{
	return at < p->end && is_digit(*at);
}

static bool
lex_double(Parser *p)
{
	Token *token = &p->token;
	char digits[MAX_NUMBER + 1];

	token->kind = TOKEN_DOUBLE;
	if (token->length > MAX_NUMBER)
		return fail(p, token->start, "the number has too many digits", NULL);
	memcpy(digits, token->start, token->length);
	digits[token->length] = '\0';
	errno = 0;
	token->d = strtod(digits, NULL);
	if (errno != 0)
		return fail(p, token->start, "the number is out of the range of doubles", NULL);
	return true;
}

static bool
lex_int(Parser *p)
{
	Token *token = &p->token;
	uint64_t value = 0;

	for (size_t i = 0; i < token->length; i++)
	{
		uint64_t digit = (uint64_t) (token->start[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			value = UINT64_MAX;
		else
			value = value * 10 + digit;
	}
	if (value > (uint64_t) INT64_MAX + 1)
		return fail(p, token->start, "the number is out of the range of integers",
					"With a decimal point it is a double.");
	token->kind = value > INT64_MAX ? TOKEN_INT_MIN : TOKEN_INT;
	token->i = (int64_t) value;
	return true;
}

static bool
lex_number(Parser *p)
{
	const char *start = p->at;
	const char *exponent;
	bool is_double = false;

	p->at += span(p, p->at, is_digit);
	if (p->at < p->end && *p->at == '.')
	{
		is_double = true;
		p->at++;
		p->at += span(p, p->at, is_digit);
	}
	if (p->at < p->end && (*p->at == 'e' || *p->at == 'E'))
	{
		exponent = p->at + 1;
		if (exponent < p->end && (*exponent == '+' || *exponent == '-'))
			exponent++;
		if (digit_at(p, exponent))
		{
			is_double = true;
			p->at = exponent + span(p, exponent, is_digit);
		}
	}
	p->token.length = (size_t) (p->at - start);
	return is_double ? lex_double(p) : lex_int(p);
}

static void
lex_name(Parser *p)
{
	Token *token = &p->token;

	token->kind = TOKEN_NAME;
	token->length = span(p, p->at, is_name);
	p->at += token->length;
	for (size_t i = 0; i < LENGTH(keywords); i++)
		if (strlen(keywords[i].name) == token->length &&
			strncasecmp(keywords[i].name, token->start, token->length) == 0)
			token->kind = keywords[i].kind;
}

static bool
lex_operator(Parser *p)
{
	Token *token = &p->token;
	size_t left = (size_t) (p->end - p->at);

	for (size_t i = 0; i < LENGTH(operators); i++)
	{
		size_t length = strlen(operators[i].name);

		if (length <= left && memcmp(operators[i].name, p->at, length) == 0)
		{
			token->kind = TOKEN_BINARY;
			token->op = operators[i].op;
			token->precedence = operators[i].precedence;
			token->length = length;
			p->at += length;
			return true;
		}
	}
	return fail_character(p);
}

/* A backslash before a line break continues the line. */
static void
skip_space(Parser *p)
{
	for (;;)
	{
		const char *next = p->at;

		if (next < p->end && *next == '\\')
			next++;
		if (next > p->at && next < p->end && *next == '\r')
			next++;
		if (next > p->at && next < p->end && *next == '\n')
			p->at = next + 1;
		else if (p->at < p->end && is_space(*p->at))
			p->at++;
		else
			return;
	}
}

static bool
take_single(Parser *p, TokenKind kind)
{
	p->token.kind = kind;
	p->token.length = 1;
	p->at++;
	return true;
}

/* Reads the next token. */
static bool
next(Parser *p)
{
	Token *token = &p->token;

	skip_space(p);
	token->start = p->at;
	token->length = 0;
	if (p->at == p->end)
	{
		token->kind = TOKEN_END;
		return true;
	}
	if (is_digit(*p->at) || (*p->at == '.' && digit_at(p, p->at + 1)))
		return lex_number(p);
	if (is_name_start(*p->at))
	{
		lex_name(p);
		return true;
	}
	switch (*p->at)
	{
		case '(':
			return take_single(p, TOKEN_OPEN);
		case ')':
			return take_single(p, TOKEN_CLOSE);
		case ',':
			return take_single(p, TOKEN_COMMA);
		case '~':
			return take_single(p, TOKEN_TILDE);
		case ':':
			token->length = span(p, p->at + 1, is_name);
			if (token->length == 0)
				return fail_character(p);
			token->kind = TOKEN_VARIABLE;
			token->length++;
			p->at += token->length;
			return true;
		default:
			return lex_operator(p);
	}
}

/* Goes on behind this token, which must be here. */
static bool
expect(Parser *p, TokenKind kind, const char *hint)
{
	return p->token.kind == kind ? next(p) : fail_unexpected(p, hint);
}

static bool
leaves_value(Op op)
{
	return op < OP_JUMP || op > OP_OR;
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
	instruction->offset = (uint32_t) (at - p->text);
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
		snprintf(p->error->message, sizeof(p->error->message), "there is no variable \"%.*s\"",
				 quoted_length(name, length), name);
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
	snprintf(p->error->message, sizeof(p->error->message), "there is no function \"%.*s\"",
			 quoted_length(name->start, name->length), name->start);
	return false;
}

static bool
fail_arity(Parser *p, const Function *function, int nargs, const char *at)
{
	fail(p, at, "", function->call_it);
	snprintf(p->error->message, sizeof(p->error->message),
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

	if (p->token.kind == TOKEN_CLOSE)
		return next(p) ? 0 : -1;
	for (;;)
	{
		if (!parse(p, ANY))
			return -1;
		nargs++;
		if (p->token.kind != TOKEN_COMMA)
			return expect(p, TOKEN_CLOSE, "Arguments are separated by commas.") ? nargs : -1;
		if (!next(p))
			return -1;
	}
}

static bool
parse_function(Parser *p)
{
	Token name = p->token;
	const Function *function = find_function(&name);
	int nargs;

	if (!next(p))
		return false;
	if (p->token.kind != TOKEN_OPEN)
	{
		p->token = name;
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
	const char *start = p->token.start;
	int64_t chain = -1;

	if (!next(p))
		return false;
	if (p->token.kind != TOKEN_WHEN)
		return fail_unexpected(p, "Only CASE WHEN condition THEN value ... END is known.");
	while (p->token.kind == TOKEN_WHEN)
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
	if (p->token.kind == TOKEN_ELSE)
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
	Token sign = p->token;

	if (!next(p))
		return false;
	if (sign.kind == TOKEN_NOT)
		return parse(p, NOT) && emit_op(p, OP_NOT, 1, sign.start);
	if (sign.kind == TOKEN_TILDE)
		return emit_int(p, OP_INT, -1, sign.start) && parse(p, SUM) &&
			   emit_op(p, OP_BIT_XOR, 2, sign.start);
	if (sign.op == OP_ADD)
		return parse(p, UNARY);
	if (p->token.kind == TOKEN_INT_MIN)
		return emit_int(p, OP_INT, INT64_MIN, sign.start) && next(p);
	return emit_int(p, OP_INT, 0, sign.start) && parse(p, UNARY) &&
		   emit_op(p, OP_SUBTRACT, 2, sign.start);
}

static bool
parse_nested(Parser *p)
{
	switch (p->token.kind)
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
	const Token *token = &p->token;
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
	Token token = p->token;
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
	Token is = p->token;
	bool negated = is.kind == TOKEN_NOTNULL;
	Op op = OP_IS_NULL;

	if (!next(p))
		return false;
	if (is.kind == TOKEN_IS)
	{
		if (p->token.kind == TOKEN_NOT)
		{
			negated = true;
			if (!next(p))
				return false;
		}
		if (p->token.kind == TOKEN_TRUE)
			op = OP_IS_TRUE;
		else if (p->token.kind == TOKEN_FALSE)
			op = OP_IS_FALSE;
		else if (p->token.kind != TOKEN_NULL)
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
	Token token = p->token;
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
		Token token = p->token;
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
	Parser p = { .text = text,
				 .end = text + length,
				 .at = text,
				 .lookup = lookup,
				 .lookup_arg = lookup_arg,
				 .code = code,
				 .capacity = capacity,
				 .error = error };

	if (length > PERFOPT_EXPRESSION_MAX_LENGTH)
	{
		fail(&p, text, "the expression is too long", NULL);
		return -1;
	}
	if (!next(&p) || !parse(&p, ANY))
		return -1;
	if (p.token.kind != TOKEN_END)
	{
		fail_unexpected(&p, p.token.kind == TOKEN_CLOSE ? "No parenthesis is open." : NULL);
		return -1;
	}
	return p.n;
}

/*
 * The machine.
 */

static bool
takes(Op op, int nargs)
{
	if (op <= OP_JUMP)
		return nargs == 0;
	if (op < OP_ADD)
		return nargs == 1;
	if (op < OP_RANDOM_EXPONENTIAL)
		return nargs == 2;
	if (op < OP_GREATEST)
		return nargs == 3;
	return nargs >= 1 && nargs <= PERFOPT_EXPRESSION_MAX_ARGS;
}

/* One instruction at work: what it finds at args is overwritten with its result, in the first. */
typedef struct Call
{
	const PerfoptInstruction *instruction;
	const PerfoptExpressionContext *context;
	PerfoptScriptError *error;
	PerfoptValue *args;
} Call;

static bool
call_fail(const Call *call, const char *message)
{
	call->error->offset = call->instruction->offset;
	call->error->hint = NULL;
	snprintf(call->error->message, sizeof(call->error->message), "%s", message);
	return false;
}

static bool
return_null(const Call *call)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_NULL };
	return true;
}

static bool
return_bool(const Call *call, bool value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = value };
	return true;
}

static bool
return_int(const Call *call, int64_t value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = value };
	return true;
}

static bool
return_double(const Call *call, double value)
{
	call->args[0] = (PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = value };
	return true;
}

static bool
fail_boolean(const Call *call)
{
	call_fail(call, "a boolean where a number is needed");
	call->error->hint =
		"IS compares booleans; CASE WHEN x THEN 1 ELSE 0 END makes a number of one.";
	return false;
}

static bool
to_bool(const Call *call, const PerfoptValue *value, bool *b)
{
	if (value->type != PERFOPT_VALUE_BOOL)
	{
		call_fail(call, value->type == PERFOPT_VALUE_INT ? "an integer where a boolean is needed"
														 : "a double where a boolean is needed");
		call->error->hint = "Compare it, as in x <> 0.";
		return false;
	}
	*b = value->b;
	return true;
}

static bool
to_int(const Call *call, const PerfoptValue *value, int64_t *i)
{
	double rounded;
	char text[PERFOPT_VALUE_SIZE];

	if (value->type == PERFOPT_VALUE_INT)
	{
		*i = value->i;
		return true;
	}
	if (value->type != PERFOPT_VALUE_DOUBLE)
		return fail_boolean(call);

	/* Both bounds are doubles themselves; NaN fails either comparison. */
	rounded = rint(value->d);
	if (!(rounded >= -TWO_TO_63 && rounded < TWO_TO_63))
	{
		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "%s is out of the range of integers", perfopt_value_text(value, text));
		return false;
	}
	*i = (int64_t) rounded;
	return true;
}

static bool
to_double(const Call *call, const PerfoptValue *value, double *d)
{
	if (value->type == PERFOPT_VALUE_DOUBLE)
		*d = value->d;
	else if (value->type == PERFOPT_VALUE_INT)
		*d = (double) value->i;
	else
		return fail_boolean(call);
	return true;
}

static bool
begins(const char *word, const char *text, size_t length)
{
	return strncasecmp(word, text, length) == 0;
}

/* Digits with at most a sign and space before them; or nothing but those, which is then an error. */
static bool
looks_like_int(const char *text)
{
	while (is_space(*text))
		text++;
	if (*text == '+' || *text == '-')
		text++;
	while (is_digit(*text))
		text++;
	return *text == '\0';
}

/* False if it isn't a value; errno says whether it would be one if it weren't that great or small. */
static bool
value_of_text(const char *text, PerfoptValue *value)
{
	size_t length = strlen(text);
	char *end;

	errno = 0;
	if (length == 0)
		return false;
	if (strcasecmp(text, "null") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_NULL };
	else if (begins("true", text, length) || begins("yes", text, length) ||
			 strcasecmp(text, "on") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = true };
	else if (begins("false", text, length) || begins("no", text, length) ||
			 strcasecmp(text, "off") == 0 || strcasecmp(text, "of") == 0)
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_BOOL, .b = false };
	else if (looks_like_int(text))
	{
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_INT, .i = strtoll(text, &end, 10) };
		return errno == 0 && end > text;
	}
	else
	{
		*value = (PerfoptValue){ .type = PERFOPT_VALUE_DOUBLE, .d = strtod(text, &end) };
		return errno == 0 && end > text && *end == '\0';
	}
	return true;
}

static bool
call_variable(const Call *call)
{
	int64_t index = call->instruction->i;
	const PerfoptValue *variable;

	if (index < 0 || index >= call->context->nvariables)
		return call_fail(call, "the compiled expression is damaged");
	variable = &call->context->variables[index];
	if (variable->type == PERFOPT_VALUE_UNSET)
		return call_fail(call, "the variable has not been assigned a value");
	if (variable->type != PERFOPT_VALUE_TEXT)
	{
		call->args[0] = *variable;
		return true;
	}
	if (!value_of_text(variable->text, &call->args[0]))
	{
		bool range = errno == ERANGE;

		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "the variable's value \"%.*s\" is %s",
				 quoted_length(variable->text, strlen(variable->text)), variable->text,
				 range ? "out of range" : "neither a number nor a boolean");
		return false;
	}
	return true;
}

static bool
call_doubles(const Call *call, double a, double b)
{
	switch (call->instruction->op)
	{
		case OP_ADD:
			return return_double(call, a + b);
		case OP_SUBTRACT:
			return return_double(call, a - b);
		case OP_MULTIPLY:
			return return_double(call, a * b);
		case OP_DIVIDE:
			return return_double(call, a / b);
		case OP_LT:
			return return_bool(call, a < b);
		case OP_LE:
			return return_bool(call, a <= b);
		case OP_EQ:
			return return_bool(call, a == b);
		case OP_NE:
			return return_bool(call, a != b);
		case OP_GE:
			return return_bool(call, a >= b);
		default:
			return return_bool(call, a > b);
	}
}

/* The one quotient that overflows, and whose remainder traps, is that of the least integer and -1. */
static bool
divide(const Call *call, int64_t a, int64_t b)
{
	bool modulo = call->instruction->op == OP_MODULO;

	if (b == 0)
		return call_fail(call, "division by zero");
	if (b == -1)
	{
		if (modulo)
			return return_int(call, 0);
		if (a == INT64_MIN)
			return call_fail(call, "integer out of range");
		return return_int(call, -a);
	}
	return return_int(call, modulo ? a % b : a / b);
}

static bool
call_ints(const Call *call, int64_t a, int64_t b)
{
	int64_t result;
	bool overflow;

	switch (call->instruction->op)
	{
		case OP_ADD:
			overflow = __builtin_add_overflow(a, b, &result);
			break;
		case OP_SUBTRACT:
			overflow = __builtin_sub_overflow(a, b, &result);
			break;
		case OP_MULTIPLY:
			overflow = __builtin_mul_overflow(a, b, &result);
			break;
		case OP_DIVIDE:
			return divide(call, a, b);
		case OP_LT:
			return return_bool(call, a < b);
		case OP_LE:
			return return_bool(call, a <= b);
		case OP_EQ:
			return return_bool(call, a == b);
		case OP_NE:
			return return_bool(call, a != b);
		case OP_GE:
			return return_bool(call, a >= b);
		default:
			return return_bool(call, a > b);
	}
	return overflow ? call_fail(call, "integer out of range") : return_int(call, result);
}

/* One double among the two makes doubles of both. */
static bool
call_arithmetic(const Call *call)
{
	const PerfoptValue *args = call->args;
	int64_t i[2];
	double d[2];

	if (args[0].type == PERFOPT_VALUE_DOUBLE || args[1].type == PERFOPT_VALUE_DOUBLE)
		return to_double(call, &args[0], &d[0]) && to_double(call, &args[1], &d[1]) &&
			   call_doubles(call, d[0], d[1]);
	return to_int(call, &args[0], &i[0]) && to_int(call, &args[1], &i[1]) &&
		   call_ints(call, i[0], i[1]);
}

/* Distances are modulo 64, as processors have them. */
static bool
call_bits(const Call *call)
{
	int64_t a;
	int64_t b;

	if (!to_int(call, &call->args[0], &a) || !to_int(call, &call->args[1], &b))
		return false;
	switch (call->instruction->op)
	{
		case OP_MODULO:
			return divide(call, a, b);
		case OP_BIT_AND:
			return return_int(call, a & b);
		case OP_BIT_OR:
			return return_int(call, a | b);
		case OP_BIT_XOR:
			return return_int(call, a ^ b);
		case OP_SHIFT_LEFT:
			return return_int(call, (int64_t) ((uint64_t) a << (b & 63)));
		default:
			return return_int(call, a >> (b & 63));
	}
}

static bool
call_abs(const Call *call)
{
	double d;

	if (call->args[0].type != PERFOPT_VALUE_INT)
		return to_double(call, &call->args[0], &d) && return_double(call, fabs(d));
	if (call->args[0].i == INT64_MIN)
		return call_fail(call, "integer out of range");
	return return_int(call, call->args[0].i < 0 ? -call->args[0].i : call->args[0].i);
}

static bool
call_double_function(const Call *call)
{
	double d;
	double exponent;

	if (!to_double(call, &call->args[0], &d))
		return false;
	switch (call->instruction->op)
	{
		case OP_EXP:
			return return_double(call, exp(d));
		case OP_LN:
			return return_double(call, log(d));
		case OP_SQRT:
			return return_double(call, sqrt(d));
		case OP_POWER:
			return to_double(call, &call->args[1], &exponent) &&
				   return_double(call, pow(d, exponent));
		default:
			return return_double(call, d);
	}
}

/* The order of a comparison with NaN is pgbench's: whatever follows NaN takes its place. */
static bool
call_extreme(const Call *call)
{
	const PerfoptValue *args = call->args;
	int nargs = call->instruction->nargs;
	bool least = call->instruction->op == OP_LEAST;
	bool doubles = false;
	double d = 0;
	int64_t i = 0;

	for (int k = 0; k < nargs; k++)
		doubles |= args[k].type == PERFOPT_VALUE_DOUBLE;
	for (int k = 0; k < nargs; k++)
	{
		double next_d;
		int64_t next_i;

		if (doubles)
		{
			if (!to_double(call, &args[k], &next_d))
				return false;
			d = k > 0 && (least ? d < next_d : d > next_d) ? d : next_d;
		}
		else
		{
			if (!to_int(call, &args[k], &next_i))
				return false;
			i = k > 0 && (least ? i < next_i : i > next_i) ? i : next_i;
		}
	}
	return doubles ? return_double(call, d) : return_int(call, i);
}

static bool
call_scatter(const Call *call)
{
	int64_t value;
	int64_t size;
	int64_t seed;
	bool permutes = call->instruction->op == OP_PERMUTE;

	if (!to_int(call, &call->args[0], &value) || !to_int(call, &call->args[1], &size) ||
		!to_int(call, &call->args[permutes ? 2 : 1], &seed))
		return false;
	if (permutes && size <= 0)
		return call_fail(call, "the size of a permutation must be greater than 0");
	if (permutes)
		return return_int(call, perfopt_permute(value, size, seed));
	return return_int(call, call->instruction->op == OP_HASH_FNV1A
								? perfopt_hash_fnv1a(value, seed)
								: perfopt_hash_murmur2(value, seed));
}

static bool
fail_parameter(const Call *call, const char *limit, double parameter)
{
	call_fail(call, "");
	snprintf(call->error->message, sizeof(call->error->message), "the parameter must be %s, not %g",
			 limit, parameter);
	return false;
}

/* A random function with a parameter besides its range. */
static bool
call_shaped(const Call *call, int64_t lo, int64_t hi)
{
	const PerfoptRandom *random = call->context->random;
	double parameter;

	if (!to_double(call, &call->args[2], &parameter))
		return false;
	switch (call->instruction->op)
	{
		case OP_RANDOM_EXPONENTIAL:
			if (!perfopt_draw_exponential_valid(parameter))
				return fail_parameter(call, "greater than 0", parameter);
			return return_int(call, perfopt_draw_exponential_int(random, lo, hi, parameter));
		case OP_RANDOM_GAUSSIAN:
			if (!perfopt_draw_gaussian_valid(parameter))
				return fail_parameter(call, "at least 2", parameter);
			return return_int(call, perfopt_draw_gaussian_int(random, lo, hi, parameter));
		default:
			if (!perfopt_draw_zipfian_valid(parameter))
				return fail_parameter(call, "from 1.001 to 1000", parameter);
			return return_int(call, perfopt_draw_zipfian_int(random, lo, hi, parameter));
	}
}

static bool
call_random(const Call *call)
{
	int64_t lo;
	int64_t hi;

	if (!to_int(call, &call->args[0], &lo) || !to_int(call, &call->args[1], &hi))
		return false;
	if (lo > hi)
	{
		call_fail(call, "");
		snprintf(call->error->message, sizeof(call->error->message),
				 "the range from %" PRId64 " to %" PRId64 " is empty", lo, hi);
		return false;
	}

	/* As in pgbench, the number of values must be an integer. */
	if ((uint64_t) hi - (uint64_t) lo >= INT64_MAX)
		return call_fail(call, "the range is too large");
	if (call->context->random == NULL)
		return call_fail(call, "random functions can't be used here");
	if (call->instruction->op == OP_RANDOM)
		return return_int(call, perfopt_draw_int(call->context->random, lo, hi));
	return call_shaped(call, lo, hi);
}

/* Those that make use of NULL. */
static bool
call_with_null(const Call *call)
{
	const PerfoptValue *value = &call->args[0];
	bool b;

	switch (call->instruction->op)
	{
		case OP_LOGICAL:
			return value->type == PERFOPT_VALUE_NULL || to_bool(call, value, &b);
		case OP_IS_NULL:
			return return_bool(call, value->type == PERFOPT_VALUE_NULL);
		case OP_IS_TRUE:
			return return_bool(call, value->type == PERFOPT_VALUE_BOOL && value->b);
		case OP_IS_FALSE:
			return return_bool(call, value->type == PERFOPT_VALUE_BOOL && !value->b);
		default:
			if (call->context->debug != NULL)
				call->context->debug(call->context->debug_arg, value);
			return true;
	}
}

static bool
call_push(const Call *call)
{
	switch (call->instruction->op)
	{
		case OP_BOOL:
			return return_bool(call, call->instruction->i != 0);
		case OP_INT:
			return return_int(call, call->instruction->i);
		case OP_DOUBLE:
			return return_double(call, call->instruction->d);
		case OP_VARIABLE:
			return call_variable(call);
		case OP_PI:
			return return_double(call, PI);
		default:
			return return_null(call);
	}
}

static bool
call_any(const Call *call)
{
	Op op = (Op) call->instruction->op;
	bool b;

	if (op < OP_JUMP)
		return call_push(call);
	if (op < OP_NOT)
		return call_with_null(call);
	for (int i = 0; i < call->instruction->nargs; i++)
		if (call->args[i].type == PERFOPT_VALUE_NULL)
			return return_null(call);
	switch (op)
	{
		case OP_NOT:
			return to_bool(call, &call->args[0], &b) && return_bool(call, !b);
		case OP_MODULO:
		case OP_BIT_AND:
		case OP_BIT_OR:
		case OP_BIT_XOR:
		case OP_SHIFT_LEFT:
		case OP_SHIFT_RIGHT:
			return call_bits(call);
		case OP_ABS:
			return call_abs(call);
		case OP_TO_INT:
		{
			int64_t i;

			return to_int(call, &call->args[0], &i) && return_int(call, i);
		}
		case OP_TO_DOUBLE:
		case OP_EXP:
		case OP_LN:
		case OP_SQRT:
		case OP_POWER:
			return call_double_function(call);
		case OP_GREATEST:
		case OP_LEAST:
			return call_extreme(call);
		case OP_HASH_FNV1A:
		case OP_HASH_MURMUR2:
		case OP_PERMUTE:
			return call_scatter(call);
		case OP_RANDOM:
		case OP_RANDOM_EXPONENTIAL:
		case OP_RANDOM_GAUSSIAN:
		case OP_RANDOM_ZIPFIAN:
			return call_random(call);
		default:
			return call_arithmetic(call);
	}
}

/* Is this an instruction that can be run, with `depth` values on the stack, before instruction `at`? */
static bool
is_sound(const PerfoptInstruction *instruction, int depth, int at, int n)
{
	Op op = (Op) instruction->op;

	if (instruction->op >= N_OPS || !takes(op, instruction->nargs) || instruction->nargs > depth)
		return false;
	if (!leaves_value(op))
		return instruction->i >= at && instruction->i <= n;
	return depth - instruction->nargs < PERFOPT_EXPRESSION_MAX_STACK;
}

bool
perfopt_expression_eval(const PerfoptInstruction *code, int n,
						const PerfoptExpressionContext *context, PerfoptValue *result,
						PerfoptScriptError *error)
{
	PerfoptValue stack[PERFOPT_EXPRESSION_MAX_STACK];
	int depth = 0;
	int at = 0;

	while (at < n)
	{
		const PerfoptInstruction *instruction = &code[at++];
		Call call = { instruction, context, error, NULL };
		bool b;

		if (!is_sound(instruction, depth, at, n))
			return call_fail(&call, "the compiled expression is damaged");
		depth -= instruction->nargs;
		call.args = &stack[depth];
		switch (instruction->op)
		{
			case OP_JUMP:
				at = (int) instruction->i;
				break;
			case OP_UNLESS:
				if (!perfopt_value_true(&stack[depth]))
					at = (int) instruction->i;
				break;
			case OP_AND:
			case OP_OR:
				if (stack[depth].type != PERFOPT_VALUE_NULL)
				{
					if (!to_bool(&call, &stack[depth], &b))
						return false;
					if (b == (instruction->op == OP_AND))
						break;
				}
				depth++;
				at = (int) instruction->i;
				break;
			default:
				if (!call_any(&call))
					return false;
				depth++;
				break;
		}
	}
	if (depth != 1)
	{
		*error = (PerfoptScriptError){ 0, "the compiled expression is damaged", NULL };
		return false;
	}
	*result = stack[0];
	return true;
}

bool
perfopt_value_true(const PerfoptValue *value)
{
	switch (value->type)
	{
		case PERFOPT_VALUE_BOOL:
			return value->b;
		case PERFOPT_VALUE_INT:
			return value->i != 0;
		case PERFOPT_VALUE_DOUBLE:
			return value->d != 0;
		default:
			return false;
	}
}

const char *
perfopt_value_text(const PerfoptValue *value, char buffer[PERFOPT_VALUE_SIZE])
{
	switch (value->type)
	{
		case PERFOPT_VALUE_BOOL:
			return value->b ? "true" : "false";
		case PERFOPT_VALUE_INT:
			snprintf(buffer, PERFOPT_VALUE_SIZE, "%" PRId64, value->i);
			return buffer;
		case PERFOPT_VALUE_DOUBLE:
			if (isnan(value->d))
				return "NaN";
			if (isinf(value->d))
				return value->d > 0 ? "Infinity" : "-Infinity";
			snprintf(buffer, PERFOPT_VALUE_SIZE, "%.*g", DBL_DIG, value->d);
			return buffer;
		case PERFOPT_VALUE_TEXT:
			return value->text;
		default:
			return NULL;
	}
}
