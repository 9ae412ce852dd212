/*
 * exposition.h
 *	  /metrics: the latest value of every series for Prometheus, and figures of the gateway itself.
 *
 * perfopt keeps what a counter has grown by, not where it stands, so there is no running total to
 * show: a counter NAME_total is shown as the gauge NAME_per_second, its rate between the last two
 * samples.  Series of histogram buckets are left out, since a rate of a bucket is no bucket.
 * Prometheus keeps the endings _count and _sum for histograms: a gauge so named gets _value after it.
 */
#ifndef PERFOPT_EXPOSITION_H
#define PERFOPT_EXPOSITION_H

#include "gateway/pool.h"

#define PERFOPT_EXPOSITION_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define PERFOPT_EXPOSITION_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Counts an answer that went out. */
extern void perfopt_exposition_count(int status, double seconds);

/* Appends the exposition as a session sees the metrics; false, with the problem, when it can't. */
extern bool perfopt_exposition_write(PerfoptSession *session, bool openmetrics, PerfoptText *text,
									 PerfoptProblem *problem);

#endif
