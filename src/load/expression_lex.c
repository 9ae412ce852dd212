/*
 * expression_lex.c
 *	  An expression's text as tokens.
 */
#include "load/expression_lex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A literal's digits; whoever writes more means something else. */
#define MAX_NUMBER 512

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

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

bool
perfopt_lexer_fail(Lexer *lexer, const char *at, const char *message, const char *hint)
{
	lexer->error->offset = (size_t) (at - lexer->text);
	snprintf(lexer->error->message, sizeof(lexer->error->message), "%s", message);
	lexer->error->hint = hint;
	return false;
}

bool
perfopt_lexer_unexpected(Lexer *lexer, const char *hint)
{
	const Token *token = &lexer->token;

	if (token->kind == TOKEN_END)
		return perfopt_lexer_fail(lexer, token->start, "unexpected end of the expression", hint);
	perfopt_lexer_fail(lexer, token->start, "", hint);
	snprintf(lexer->error->message, sizeof(lexer->error->message), "unexpected \"%.*s\"",
			 quoted_length(token->start, token->length), token->start);
	return false;
}

/* The character at lexer->at begins no token. */
static bool
fail_character(Lexer *lexer)
{
	unsigned char c = (unsigned char) *lexer->at;
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
	perfopt_lexer_fail(lexer, lexer->at, "", hint);
	if (c > ' ' && c < 0x7f)
		snprintf(lexer->error->message, sizeof(lexer->error->message),
				 "unexpected character \"%c\"", c);
	else
		snprintf(lexer->error->message, sizeof(lexer->error->message),
				 "unexpected character 0x%02x", c);
	return false;
}

/* How many characters from `at` on fulfil this. */
static size_t
span(const Lexer *lexer, const char *at, bool (*is)(char))
{
	const char *end = at;

	while (end < lexer->end && is(*end))
		end++;
	return (size_t) (end - at);
}

static bool
digit_at(const Lexer *lexer, const char *at)
{
	return at < lexer->end && is_digit(*at);
}

static bool
lex_double(Lexer *lexer)
{
	Token *token = &lexer->token;
	char digits[MAX_NUMBER + 1];

	token->kind = TOKEN_DOUBLE;
	if (token->length > MAX_NUMBER)
		return perfopt_lexer_fail(lexer, token->start, "the number has too many digits", NULL);
	memcpy(digits, token->start, token->length);
	digits[token->length] = '\0';
	errno = 0;
	token->d = strtod(digits, NULL);
	if (errno != 0)
		return perfopt_lexer_fail(lexer, token->start, "the number is out of the range of doubles",
								  NULL);
	return true;
}

static bool
lex_int(Lexer *lexer)
{
	Token *token = &lexer->token;
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
		return perfopt_lexer_fail(lexer, token->start, "the number is out of the range of integers",
								  "With a decimal point it is a double.");
	token->kind = value > INT64_MAX ? TOKEN_INT_MIN : TOKEN_INT;
	token->i = (int64_t) value;
	return true;
}

static bool
lex_number(Lexer *lexer)
{
	const char *start = lexer->at;
	const char *exponent;
	bool is_double = false;

	lexer->at += span(lexer, lexer->at, is_digit);
	if (lexer->at < lexer->end && *lexer->at == '.')
	{
		is_double = true;
		lexer->at++;
		lexer->at += span(lexer, lexer->at, is_digit);
	}
	if (lexer->at < lexer->end && (*lexer->at == 'e' || *lexer->at == 'E'))
	{
		exponent = lexer->at + 1;
		if (exponent < lexer->end && (*exponent == '+' || *exponent == '-'))
			exponent++;
		if (digit_at(lexer, exponent))
		{
			is_double = true;
			lexer->at = exponent + span(lexer, exponent, is_digit);
		}
	}
	lexer->token.length = (size_t) (lexer->at - start);
	return is_double ? lex_double(lexer) : lex_int(lexer);
}

static void
lex_name(Lexer *lexer)
{
	Token *token = &lexer->token;

	token->kind = TOKEN_NAME;
	token->length = span(lexer, lexer->at, is_name);
	lexer->at += token->length;
	for (size_t i = 0; i < LENGTH(keywords); i++)
		if (strlen(keywords[i].name) == token->length &&
			strncasecmp(keywords[i].name, token->start, token->length) == 0)
			token->kind = keywords[i].kind;
}

static bool
lex_operator(Lexer *lexer)
{
	Token *token = &lexer->token;
	size_t left = (size_t) (lexer->end - lexer->at);

	for (size_t i = 0; i < LENGTH(operators); i++)
	{
		size_t length = strlen(operators[i].name);

		if (length <= left && memcmp(operators[i].name, lexer->at, length) == 0)
		{
			token->kind = TOKEN_BINARY;
			token->op = operators[i].op;
			token->precedence = operators[i].precedence;
			token->length = length;
			lexer->at += length;
			return true;
		}
	}
	return fail_character(lexer);
}

/* A backslash before a line break continues the line. */
static void
skip_space(Lexer *lexer)
{
	for (;;)
	{
		const char *next = lexer->at;

		if (next < lexer->end && *next == '\\')
			next++;
		if (next > lexer->at && next < lexer->end && *next == '\r')
			next++;
		if (next > lexer->at && next < lexer->end && *next == '\n')
			lexer->at = next + 1;
		else if (lexer->at < lexer->end && is_space(*lexer->at))
			lexer->at++;
		else
			return;
	}
}

static bool
take_single(Lexer *lexer, TokenKind kind)
{
	lexer->token.kind = kind;
	lexer->token.length = 1;
	lexer->at++;
	return true;
}

bool
perfopt_lexer_next(Lexer *lexer)
{
	Token *token = &lexer->token;

	skip_space(lexer);
	token->start = lexer->at;
	token->length = 0;
	if (lexer->at == lexer->end)
	{
		token->kind = TOKEN_END;
		return true;
	}
	if (is_digit(*lexer->at) || (*lexer->at == '.' && digit_at(lexer, lexer->at + 1)))
		return lex_number(lexer);
	if (is_name_start(*lexer->at))
	{
		lex_name(lexer);
		return true;
	}
	switch (*lexer->at)
	{
		case '(':
			return take_single(lexer, TOKEN_OPEN);
		case ')':
			return take_single(lexer, TOKEN_CLOSE);
		case ',':
			return take_single(lexer, TOKEN_COMMA);
		case '~':
			return take_single(lexer, TOKEN_TILDE);
		case ':':
			token->length = span(lexer, lexer->at + 1, is_name);
			if (token->length == 0)
				return fail_character(lexer);
			token->kind = TOKEN_VARIABLE;
			token->length++;
			lexer->at += token->length;
			return true;
		default:
			return lex_operator(lexer);
	}
}
