/*
 * expression_lex.h
 *	  An expression's text as tokens.
 *
 * Private to expression*.c.
 */
#ifndef PERFOPT_EXPRESSION_LEX_H
#define PERFOPT_EXPRESSION_LEX_H

#include "load/expression_code.h"

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

typedef struct Lexer
{
	const char *text;
	const char *end;
	const char *at; /* behind the token */
	Token token;
	PerfoptScriptError *error;
} Lexer;

/* Reads the next token; false and the error where there is none.  At the end it is TOKEN_END. */
extern bool perfopt_lexer_next(Lexer *lexer);

/* Always false: the error is this. */
extern bool perfopt_lexer_fail(Lexer *lexer, const char *at, const char *message, const char *hint);

/* Likewise: the token at hand can't be there. */
extern bool perfopt_lexer_unexpected(Lexer *lexer, const char *hint);

#endif /* PERFOPT_EXPRESSION_LEX_H */
