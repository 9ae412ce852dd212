/*
 * diagnose.h
 *	  What holds the server back in a window of time.
 *
 * To add a detector: write a static function in the file of its subject and give it its row in the table
 * at that file's end.
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

/* The detectors: a table a file, and all of them with NULL at the end. */
extern const PerfoptDetector perfopt_cache_detectors[];
extern const PerfoptDetector perfopt_cpu_detectors[];
extern const PerfoptDetector perfopt_disk_detectors[];
extern const PerfoptDetector perfopt_external_detectors[];
extern const PerfoptDetector perfopt_index_detectors[];
extern const PerfoptDetector perfopt_input_detectors[];
extern const PerfoptDetector perfopt_integration_detectors[];
extern const PerfoptDetector perfopt_lock_detectors[];
extern const PerfoptDetector perfopt_memory_detectors[];
extern const PerfoptDetector perfopt_network_detectors[];
extern const PerfoptDetector perfopt_overhead_detectors[];
extern const PerfoptDetector perfopt_replication_detectors[];
extern const PerfoptDetector perfopt_schema_detectors[];
extern const PerfoptDetector perfopt_session_detectors[];
extern const PerfoptDetector perfopt_statement_detectors[];
extern const PerfoptDetector perfopt_storage_detectors[];
extern const PerfoptDetector perfopt_system_memory_detectors[];
extern const PerfoptDetector perfopt_table_detectors[];
extern const PerfoptDetector perfopt_vacuum_detectors[];
extern const PerfoptDetector *const perfopt_detector_tables[];

#endif /* PERFOPT_DIAGNOSE_H */
