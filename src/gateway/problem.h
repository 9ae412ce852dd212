/*
 * problem.h
 *	  Errors as HTTP tells them: a status for each SQLSTATE, and the body of RFC 9457.
 */
#ifndef PERFOPT_PROBLEM_H
#define PERFOPT_PROBLEM_H

#include "gateway/request.h"
#include "gateway/text.h"

/* The status that an SQLSTATE is told with. */
extern int perfopt_problem_status(const char *sqlstate);

/* A status in words. */
extern const char *perfopt_problem_title(int status);

/* Appends the body, application/problem+json. */
extern void perfopt_problem_json(const PerfoptProblem *problem, PerfoptText *json);

/* Sets status, detail and hint; `hint` may be NULL. */
extern void perfopt_problem_set(PerfoptProblem *problem, int status, const char *detail,
								const char *hint);

#endif
