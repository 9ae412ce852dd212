/*
 * guc.h
 *	  Every setting of perfopt.  The values are read directly; units are in the names here.
 */
#ifndef PERFOPT_GUC_H
#define PERFOPT_GUC_H

extern bool perfopt_allow_private_targets; /* perfopt.allow_private_targets */
extern int perfopt_collect_interval_s;     /* perfopt.collect_interval, 1 s to 1 h */
extern char *perfopt_database;             /* perfopt.database, fixed at server start */
extern char *perfopt_databases;            /* perfopt.databases, a list of identifiers */
extern int perfopt_max_load_users;         /* perfopt.max_load_users */
extern int perfopt_max_series;             /* perfopt.max_series */
extern int perfopt_probe_timeout_ms;       /* perfopt.probe_timeout */
extern int perfopt_retention_1hour_min;    /* perfopt.retention_1hour */
extern int perfopt_retention_5min_min;     /* perfopt.retention_5min */
extern int perfopt_retention_events_min;   /* perfopt.retention_events */
extern int perfopt_retention_raw_min;      /* perfopt.retention_raw */
extern int perfopt_sampling_frequency;     /* perfopt.sampling_frequency, Hz; 0 is off */
extern int perfopt_top_statements;         /* perfopt.top_statements, 0 is off */
extern int perfopt_top_tables;             /* perfopt.top_tables, 0 is off */

extern void perfopt_guc_init(void);

#endif /* PERFOPT_GUC_H */
