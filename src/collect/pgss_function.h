/*
 * pgss_function.h
 *	  Reading pg_stat_statements by its function.
 *
 * It is called directly and its rows are taken from the tuplestore that it fills: no plan, no executor,
 * no second copy as an SPI result.  Columns are found by name, since they were renamed and added to
 * over the versions; what an old one lacks counts as 0.  What it takes in memory is given back.
 */
#ifndef PERFOPT_COLLECT_PGSS_FUNCTION_H
#define PERFOPT_COLLECT_PGSS_FUNCTION_H

#include "collect/pgss.h"

extern void perfopt_pgss_function_entries(Oid function, PerfoptPgssTake take, void *arg);
extern void perfopt_pgss_function_texts(Oid function, PerfoptPgssWants wants,
										PerfoptPgssTakeText take, void *arg);

#endif /* PERFOPT_COLLECT_PGSS_FUNCTION_H */
