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

#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "utils/acl.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

#if PG_VERSION_NUM < 150000
#error "perfopt needs PostgreSQL 15 or later"
#endif

/* What pg_stat_activity shows while a perfopt process rests. */
#define PERFOPT_WAIT_EVENT_MAIN PG_WAIT_EXTENSION

/* 17 made the process number a property of the process, and gathered the virtual id in one place. */
#if PG_VERSION_NUM >= 170000
#define PERFOPT_MY_PROCNO MyProcNumber
#define PERFOPT_PROCNO(proc) GetNumberFromPGProc(proc)
#define PERFOPT_PROC_LXID(proc) ((proc)->vxid.lxid)
#else
#define PERFOPT_MY_PROCNO (MyProc->pgprocno)
#define PERFOPT_PROCNO(proc) ((proc)->pgprocno)
#define PERFOPT_PROC_LXID(proc) ((proc)->lxid)
#endif

/* 18 dropped the parameter execute_once. */
#if PG_VERSION_NUM >= 180000
#define PERFOPT_EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define PERFOPT_EXECUTOR_RUN_PASS queryDesc, direction, count
#else
#define PERFOPT_EXECUTOR_RUN_ARGS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define PERFOPT_EXECUTOR_RUN_PASS queryDesc, direction, count, execute_once
#endif

/* 17 ties wait event sets to a resource owner instead of a memory context. */
#if PG_VERSION_NUM >= 170000
#define perfopt_create_wait_event_set(nevents) CreateWaitEventSet(CurrentResourceOwner, nevents)
#else
#define perfopt_create_wait_event_set(nevents) CreateWaitEventSet(CurrentMemoryContext, nevents)
#endif

static inline bool
perfopt_owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

static inline AclResult
perfopt_server_aclcheck(Oid server, Oid role, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server, role, mode);
#else
	return pg_foreign_server_aclcheck(server, role, mode);
#endif
}

#endif /* PERFOPT_COMPAT_H */
