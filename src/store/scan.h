/*
 * scan.h
 *	  What the two halves of the foreign tables share: the plan that fdw.c makes and scan.c executes.
 *	  Private to src/store.
 *
 * fdw_exprs of the plan is a list of two lists: conditions on the description of a series, all of
 * which must hold, and timestamptz expressions that bound the time; fdw_private holds the btree
 * strategies of the latter.
 */
#ifndef PERFOPT_STORE_SCAN_H
#define PERFOPT_STORE_SCAN_H

#include "foreign/fdwapi.h"

#include "store/store.h"

/* Columns of the foreign tables, from 1: values follow labels, and the unit follows the values. */
#define PERFOPT_ATTR_TIME 1
#define PERFOPT_ATTR_DIMENSION 2
#define PERFOPT_ATTR_METRIC 3
#define PERFOPT_ATTR_LABELS 4
#define PERFOPT_ATTR_FIRST_VALUE 5

extern PerfoptStreamId perfopt_stream_of_table(Oid table);

/* Fills in the executor's part of the routine. */
extern void perfopt_scan_routine(FdwRoutine *routine);

#endif /* PERFOPT_STORE_SCAN_H */
