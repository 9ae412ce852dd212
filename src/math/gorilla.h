/*
 * gorilla.h
 *	  Sealed chunks: one series over a stretch of time, as (timestamp, float8) pairs in few bytes.
 *
 * Every timestamp and every bit pattern of a value comes back exactly.  The idea of packing a
 * series into a chunk by coding each sample as its difference from an expectation is Gorilla's
 * (Pelkonen et al., VLDB 2015, section 4.1); what is in a chunk here differs from it:
 *
 *	- A value is turned into an integer: the decimal x of x / 10^e where all values have one
 *	  (Afroozeh, Kuffo, Boncz, "ALP", SIGMOD 2023), else its bits in the order of the numbers
 *	  (Lindstrom, Isenburg, "fpzip", TVCG 2006).  The integers' common factor is divided out.
 *	- Timestamps lose their common factor too, and become distances from a grid of equal steps.
 *	- The difference from the expected integer is coded as its length in bits, sign and leading
 *	  bits, each by an adaptive binary range coder (see rangecoder.h), and the rest as it is.  The
 *	  lengths are those of Elias' gamma code; what Golomb's and Rice's codes take as a parameter,
 *	  the coder learns.
 *
 * A chunk does not depend on byte order.  It is: one byte that names the format; the number of
 * samples in base 128, lowest digits first; the range coder's bytes; CRC-16 of all before it, high
 * byte first.
 *
 * No PostgreSQL here and no allocation: buffers are the caller's.  The stack holds about 10 kB.
 */
#ifndef PERFOPT_GORILLA_H
#define PERFOPT_GORILLA_H

#include <stddef.h>
#include <stdint.h>

/* One sample fits into this, whatever it is. */
#define PERFOPT_CHUNK_MIN_CAPACITY 64

/* A chunk has at most this many, so that a corrupt count does not ask for all memory. */
#define PERFOPT_CHUNK_MAX_SAMPLES 131072

#define PERFOPT_CHUNK_TRUNCATED (-1) /* too short to be a chunk */
#define PERFOPT_CHUNK_FORMAT (-2)    /* of a format that this version does not know */
#define PERFOPT_CHUNK_CORRUPT (-3)   /* its bytes are not those that were written */
#define PERFOPT_CHUNK_CAPACITY (-4)  /* more samples than the caller has room for */

/*
 * Encodes as many of the first of these n samples as fit into capacity bytes and into one chunk,
 * at least one, and returns how many; *used is the bytes written.  Timestamps (microseconds, any
 * int64) must be strictly ascending.  Returns 0 and writes nothing when n is not positive or
 * capacity is below PERFOPT_CHUNK_MIN_CAPACITY.  Which bytes may differ with the
 * machine's log2(); every machine reads them all.
 */
extern int perfopt_chunk_encode(const int64_t *ts, const double *value, int n, uint8_t *out,
								size_t capacity, size_t *used);

/* Number of samples in a chunk, from its head alone, or a negative PERFOPT_CHUNK_... */
extern int perfopt_chunk_count(const uint8_t *data, size_t length);

/*
 * Decodes a chunk into ts and value, which have room for capacity samples.  Returns their number
 * or a negative PERFOPT_CHUNK_...; after an error, what is in ts and value means nothing.
 */
extern int perfopt_chunk_decode(const uint8_t *data, size_t length, int64_t *ts, double *value,
								int capacity);

/* What a negative PERFOPT_CHUNK_... means, in English, for a message. */
extern const char *perfopt_chunk_error(int code);

#endif /* PERFOPT_GORILLA_H */
