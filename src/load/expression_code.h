/*
 * expression_code.h
 *	  What a compiled expression is made of: the instructions that compiler and machine agree on.
 *
 * Private to expression*.c.
 */
#ifndef PERFOPT_EXPRESSION_CODE_H
#define PERFOPT_EXPRESSION_CODE_H

#include "load/characters.h"
#include "load/expression.h"

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

/* May an instruction of this kind have so many values to take? */
static inline bool
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

static inline bool
leaves_value(Op op)
{
	return op < OP_JUMP || op > OP_OR;
}

/* For "%.*s": how much of this to quote, without cutting a UTF-8 character in two. */
static inline int
quoted_length(const char *text, size_t length)
{
	if (length <= MAX_QUOTED)
		return (int) length;
	length = MAX_QUOTED;
	while (length > 0 && ((unsigned char) text[length] & 0xc0) == 0x80)
		length--;
	return (int) length;
}

#endif /* PERFOPT_EXPRESSION_CODE_H */
