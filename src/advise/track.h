/*
 * track.h
 *	  Carrying out recommendations: the statements of an action, and the worker that runs them.
 *
 * ALTER SYSTEM and CREATE INDEX CONCURRENTLY can't run inside a transaction block, and the latter waits
 * for the snapshot of whoever calls it from a function.  So an action is run by a worker of its own, one
 * statement a transaction, as the role that asked and with that role's rights.  It begins when the
 * transaction that asked has committed; it does nothing when that was rolled back.  What it did is in
 * perfopt.application, which only the owner of the extension writes.
 */
#ifndef PERFOPT_ADVISE_TRACK_H
#define PERFOPT_ADVISE_TRACK_H

#include "fmgr.h"

extern PGDLLEXPORT void perfopt_advise_apply_main(Datum arg);

#endif /* PERFOPT_ADVISE_TRACK_H */
