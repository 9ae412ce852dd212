/*
 * option.h
 *	  Names of options, shared inside src/target.
 */
#ifndef PERFOPT_TARGET_OPTION_H
#define PERFOPT_TARGET_OPTION_H

#include "libpq-fe.h"
#include "nodes/pg_list.h"

/* True for an option that a server or user mapping of perfopt may have and that libpq understands. */
extern bool perfopt_target_is_libpq_option(const char *name);

/*
 * The first of a server's options (DefElems) that nothing of this TYPE would use, or NULL: it is not
 * to be taken for granted that one which means to encrypt, say, does.
 */
extern const char *perfopt_target_useless_option(List *options, const char *type);

#endif /* PERFOPT_TARGET_OPTION_H */
