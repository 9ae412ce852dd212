/*
 * openapi.h
 *	  The routes for people and for programs.
 */
#ifndef PERFOPT_OPENAPI_H
#define PERFOPT_OPENAPI_H

#include "gateway/text.h"

/* An OpenAPI 3.1 document, and docs/api.md. */
extern void perfopt_openapi_write(PerfoptText *json);
extern void perfopt_api_docs_write(PerfoptText *markdown);

#endif
