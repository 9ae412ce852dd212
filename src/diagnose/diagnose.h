/*
 * diagnose.h
 *	  What holds the server back in a window of time.
 *
 * Detectors are one const table in diagnose.c.  To add one: write a function in the file of its
 * category, declare it below, and give it its line in the table, causes before symptoms.
 */
#ifndef PERFOPT_DIAGNOSE_H
#define PERFOPT_DIAGNOSE_H

#include "diagnose/finding.h"

/*
 * Gathers the window's facts and runs every detector.  Findings come in order of impact; those without
 * one last, worst first.  To be called with the rights of the extension's owner.
 */
extern PerfoptDiagnosis *perfopt_diagnose(TimestampTz since, TimestampTz until);

/* The columns of perfopt.bottlenecks(); with_texts decides about statement_text. */
#define PERFOPT_BOTTLENECK_COLUMNS 13
extern void perfopt_finding_values(const PerfoptFinding *finding, bool with_texts, Datum *values,
								   bool *nulls);

/* The detectors, by category. */
extern void perfopt_detect_cpu_saturation(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_work_mem_spill(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_shared_buffers_pressure(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_wal_sync(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_checkpoint_pressure(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_client_wait(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_idle_in_transaction(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_lock_contention(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_connection_saturation(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_deadlocks(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_top_statement(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_missing_index(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_cache_down(PerfoptDiagnosis *diagnosis);
extern void perfopt_detect_cache_low_hit_ratio(PerfoptDiagnosis *diagnosis);

#endif /* PERFOPT_DIAGNOSE_H */
