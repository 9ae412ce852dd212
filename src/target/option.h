/*
 * option.h
 *	  Names of options, shared inside src/target.
 */
#ifndef PERFOPT_TARGET_OPTION_H
#define PERFOPT_TARGET_OPTION_H

#include "libpq-fe.h"

/* True for an option that a server or user mapping of perfopt may have and that libpq understands. */
extern bool perfopt_target_is_libpq_option(const char *name);

#endif /* PERFOPT_TARGET_OPTION_H */
