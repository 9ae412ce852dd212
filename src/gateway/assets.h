/*
 * assets.h
 *	  The dashboard's files, which the build embeds in the program.
 */
#ifndef PERFOPT_ASSETS_H
#define PERFOPT_ASSETS_H

#include <stddef.h>

typedef struct PerfoptAsset
{
	const char *path;
	const char *type;
	const unsigned char *bytes;
	size_t length;
} PerfoptAsset;

extern const PerfoptAsset perfopt_assets[];
extern const int perfopt_nassets;

#endif
