/*
 * compat.h
 *	  The differences between PostgreSQL 15, 16, 17 and 18.
 *
 * No other file mentions PG_VERSION_NUM.  Code elsewhere is written against the newest spelling
 * where that is possible, and this header maps it to what older servers have.
 */
#ifndef PERFOPT_COMPAT_H
#define PERFOPT_COMPAT_H

#include "postgres.h"

#include "storage/proc.h"

#if PG_VERSION_NUM < 150000
#error "perfopt needs PostgreSQL 15 or later"
#endif

#endif /* PERFOPT_COMPAT_H */
