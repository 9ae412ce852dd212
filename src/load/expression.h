/*
 * expression.h
 *	  The expressions of pgbench's \set and \if: compiled once, evaluated as often as needed.
 *
 * Operators, functions, precedence, types and conversions are those of pgbench (PostgreSQL
 * documentation, pgbench, "Built-in Operators" and "Built-in Functions"); so are its habits:
 *
 *	- An operator or function with a NULL argument is NULL, except IS, CASE and debug().  AND and OR
 *	  are NULL as soon as their left side is, without a look at the right one.
 *	- CASE and \if take a number for a condition (0 is false, NULL too); AND, OR and NOT only booleans.
 *	- Booleans can't be compared with =, only with IS.  Comparisons don't chain.
 *	- A double becomes an integer by rounding half to even; % and the bit operators do that to their
 *	  operands.  Integers that overflow are an error, doubles that do are infinite.
 *	- Text becomes a value each time that it is used: NULL, words for true and false and their
 *	  abbreviations, integers, and else what strtod() takes.  Spaces may only precede a number.
 *
 * It differs where pgbench's result is an accident: abs() of a boolean or of the least integer is an
 * error, an exponential or gaussian parameter that isn't finite too, a comma right after an opening
 * parenthesis as well.  Too many arguments are found when compiling, a variable that is never
 * assigned as well.  > and >= evaluate their left operand first.  Line breaks are space, since the
 * caller knows where the expression ends.
 *
 * A compiled expression is an array of instructions for a stack machine, without pointers, so its
 * bytes may be handed to another process of the same machine.  Jumps go forward only: it always ends.
 *
 * Pure C: no PostgreSQL, no allocation.  Numbers are read with strtod(): LC_NUMERIC must be "C", which
 * it is in the server.
 */
#ifndef PERFOPT_EXPRESSION_H
#define PERFOPT_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/script.h"
#include "math/draw.h"

/* Values that wait for an operator, at the deepest place of an expression. */
#define PERFOPT_EXPRESSION_MAX_STACK 128

/* Parentheses, function calls, CASEs and unary operators inside each other. */
#define PERFOPT_EXPRESSION_MAX_NESTING 100

#define PERFOPT_EXPRESSION_MAX_ARGS 16
#define PERFOPT_EXPRESSION_MAX_LENGTH 1048576

/* Instructions that an expression of so many bytes has at most. */
#define PERFOPT_EXPRESSION_CAPACITY(length) (2 * (length) + 1)

/* Room for a value's text, unless it is text already. */
#define PERFOPT_VALUE_SIZE 32

/* Zeroed memory is values that nothing was assigned to yet. */
typedef enum PerfoptValueType
{
	PERFOPT_VALUE_UNSET,
	PERFOPT_VALUE_NULL,
	PERFOPT_VALUE_BOOL,
	PERFOPT_VALUE_INT,
	PERFOPT_VALUE_DOUBLE,
	PERFOPT_VALUE_TEXT /* from SQL; NUL-terminated and the caller's */
} PerfoptValueType;

typedef struct PerfoptValue
{
	PerfoptValueType type;
	union
	{
		bool b;
		int64_t i;
		double d;
		const char *text;
	};
} PerfoptValue;

/* What is in it is the business of expression_compile.c and expression.c. */
typedef struct PerfoptInstruction
{
	uint16_t op;
	uint16_t nargs;
	uint32_t offset; /* in the expression's text, for messages */
	union
	{
		int64_t i;
		double d;
	};
} PerfoptInstruction;

/* Index of a variable, or -1 when there is none of that name (which is not NUL-terminated). */
typedef int (*PerfoptVariableLookup)(void *arg, const char *name, size_t length);

/* What an evaluation sees. */
typedef struct PerfoptExpressionContext
{
	const PerfoptValue *variables; /* by the lookup's index */
	int nvariables;
	const PerfoptRandom *random;                         /* NULL: random functions are errors */
	void (*debug)(void *arg, const PerfoptValue *value); /* what debug() calls, if not NULL */
	void *debug_arg;
} PerfoptExpressionContext;

/*
 * Compiles `length` bytes of text into code, which has room for capacity instructions, and returns
 * how many it took; -1 and the error when the text isn't an expression.  hash() and permute() without
 * a seed look up the variable default_seed.  Offsets in errors are bytes from the start of text.
 */
extern int perfopt_expression_compile(const char *text, size_t length, PerfoptVariableLookup lookup,
									  void *lookup_arg, PerfoptInstruction *code, int capacity,
									  PerfoptScriptError *error);

/*
 * Evaluates n instructions.  *result is never text nor unset.  Returns false and the error, with the
 * offset of the operator, function or variable in the compiled text, when there is no result; *result
 * means nothing then.  Code that no compilation made may give any result, but does no harm.
 */
extern bool perfopt_expression_eval(const PerfoptInstruction *code, int n,
									const PerfoptExpressionContext *context, PerfoptValue *result,
									PerfoptScriptError *error);

/* Does \if take it for true?  Text and what is unset are not. */
extern bool perfopt_value_true(const PerfoptValue *value);

/*
 * The value as text for SQL, as pgbench writes it (doubles with 15 digits), in buffer or, if it is
 * text, where that is; NULL for null and for what is unset.
 */
extern const char *perfopt_value_text(const PerfoptValue *value, char buffer[PERFOPT_VALUE_SIZE]);

#endif /* PERFOPT_EXPRESSION_H */
