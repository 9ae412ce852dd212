/*
 * codec.c
 *	  What bench/codec builds: sizes of chunks beside Prometheus', and the time to decode them.
 *
 * Usage: codec [--each] [FILE.csv ...], each line `series_id,ts_us,value[,anything]`, a series' lines one
 * after another and in order of time.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/gorilla.h"
#include "../test/unit/prng.h"

#define MOST 86400
#define PROMETHEUS_CHUNK 120
#define LENGTHS 3

static const int lengths[LENGTHS] = { 120, 480, 2880 };

static int64_t ts[MOST];
static double value[MOST];
static int64_t decoded_ts[MOST];
static double decoded_value[MOST];
static uint8_t out[MOST * 24];

/* What is summed up over series. */
typedef struct Tally
{
	double samples;
	double prometheus;
	double ours[LENGTHS];
	double encode_ns;
	double decode_ns;
} Tally;

static Tally everything;

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e9 * (double) t.tv_sec + (double) t.tv_nsec;
}

/* Prometheus' XOR chunk (tsdb/chunkenc/xor.go): how many bits each part takes. */

static int
varint_bits(uint64_t x)
{
	int bits = 8;

	for (; x >= 128; x >>= 7)
		bits += 8;
	return bits;
}

static bool
in_bits(int64_t x, int bits)
{
	return -((INT64_C(1) << (bits - 1)) - 1) <= x && x <= INT64_C(1) << (bits - 1);
}

static int
time_bits(int64_t change)
{
	if (change == 0)
		return 1;
	if (in_bits(change, 14))
		return 2 + 14;
	if (in_bits(change, 17))
		return 3 + 17;
	if (in_bits(change, 20))
		return 4 + 20;
	return 4 + 64;
}

typedef struct XorWindow
{
	int leading; /* -1: none yet */
	int trailing;
} XorWindow;

static int
value_bits(XorWindow *window, double before, double after)
{
	uint64_t a;
	uint64_t b;
	int leading = 0;
	int trailing = 0;

	memcpy(&a, &before, sizeof a);
	memcpy(&b, &after, sizeof b);
	a ^= b;
	if (a == 0)
		return 1;
	while (!(a >> (63 - leading) & 1))
		leading++;
	while (!(a >> trailing & 1))
		trailing++;
	if (leading > 31)
		leading = 31;
	if (window->leading >= 0 && leading >= window->leading && trailing >= window->trailing)
		return 2 + 64 - window->leading - window->trailing;
	window->leading = leading;
	window->trailing = trailing;
	return 2 + 5 + 6 + 64 - leading - trailing;
}

/* Bytes of one chunk, without what blocks add to it (length, encoding, CRC-32, index). */
static int
prometheus_bytes(int from, int n)
{
	XorWindow window = { .leading = -1 };
	int64_t time = ts[from] / 1000;
	int64_t interval = 0;
	long bits = 16 + varint_bits((uint64_t) time << 1) + 64;

	for (int i = from + 1; i < from + n; i++)
	{
		int64_t next = ts[i] / 1000;

		bits += i == from + 1 ? varint_bits((uint64_t) (next - time))
							  : time_bits(next - time - interval);
		bits += value_bits(&window, value[i - 1], value[i]);
		interval = next - time;
		time = next;
	}
	return (int) ((bits + 7) / 8);
}

/* One series, that is ts and value, in chunks of each length. */
static void
measure(Tally *tally, int n)
{
	tally->samples += n;
	for (int i = 0; i < n; i += PROMETHEUS_CHUNK)
		tally->prometheus +=
			prometheus_bytes(i, n - i < PROMETHEUS_CHUNK ? n - i : PROMETHEUS_CHUNK);
	for (int l = 0; l < LENGTHS; l++)
		for (int i = 0, done; i < n; i += done)
		{
			size_t used = 0;
			int count = n - i < lengths[l] ? n - i : lengths[l];
			double begin = now_ns();
			double middle;

			done = perfopt_chunk_encode(ts + i, value + i, count, out, sizeof out, &used);
			middle = now_ns();
			if (perfopt_chunk_decode(out, used, decoded_ts, decoded_value, MOST) != done ||
				memcmp(decoded_ts, ts + i, (size_t) done * sizeof *ts) != 0 ||
				memcmp(decoded_value, value + i, (size_t) done * sizeof *value) != 0)
			{
				fprintf(stderr, "a chunk does not come back\n");
				exit(1);
			}
			if (l == LENGTHS - 1)
			{
				tally->encode_ns += middle - begin;
				tally->decode_ns += now_ns() - middle;
			}
			tally->ours[l] += (double) used;
		}
}

static void
print(const char *name, const Tally *t)
{
	double n = t->samples;

	printf("%-28s %9.0f %10.3f %9.3f %9.3f %9.3f %8.0f %8.0f\n", name, n, t->prometheus / n,
		   t->ours[0] / n, t->ours[1] / n, t->ours[2] / n, t->encode_ns / n, t->decode_ns / n);
	everything.samples += n;
	everything.prometheus += t->prometheus;
	everything.encode_ns += t->encode_ns;
	everything.decode_ns += t->decode_ns;
	for (int l = 0; l < LENGTHS; l++)
		everything.ours[l] += t->ours[l];
}

/* Generated series: a cycle each 30 s, 0 to 3 ms late, of which one in 500 is missing. */

static uint64_t seed = 20150823;

static double
poisson_like(double mean)
{
	double x = floor(mean + sqrt(mean) * prng_normal(&seed) + 0.5);

	return x > 0 ? x : 0;
}

static double
constant(int i, double before)
{
	(void) before;
	return i == 0 ? 128.0 * 1024 * 1024 : before;
}

static double
rarely_changing(int i, double before)
{
	return i == 0 || prng_next(&seed) % 200 == 0 ? floor(100 * prng_uniform(&seed)) : before;
}

static double
connections(int i, double before)
{
	return i == 0 ? 20 : fabs(before + (double) (prng_next(&seed) % 5) - 2);
}

static double
rare_events(int i, double before)
{
	(void) i;
	(void) before;
	return prng_next(&seed) % 20 == 0 ? 1 + (double) (prng_next(&seed) % 3) : 0;
}

static double
commits(int i, double before)
{
	(void) before;
	return poisson_like(3000 + 2000 * sin(i / 400.0));
}

static double
tuples(int i, double before)
{
	(void) i;
	(void) before;
	return floor(1e8 * -log(prng_uniform(&seed)));
}

static double
relation_bytes(int i, double before)
{
	return i == 0 ? 8192.0 * 123456
				  : before +
						(prng_next(&seed) % 8 == 0 ? 8192.0 * (double) (prng_next(&seed) % 30) : 0);
}

static double
free_memory(int i, double before)
{
	return i == 0 ? 4096.0 * 500000 : before + 4096 * floor(200 * prng_normal(&seed));
}

static double
load_average(int i, double before)
{
	return i == 0 ? 1
				  : fabs(round(100 * (0.92 * before + 0.08 * (1.5 + prng_normal(&seed)))) / 100);
}

static double
busy_seconds(int i, double before)
{
	(void) i;
	(void) before;
	return round(1e6 * fabs(12 + 0.5 * prng_normal(&seed))) / 1e6;
}

static double
hit_ratio(int i, double before)
{
	(void) i;
	(void) before;
	return round(1e6 * (1 - 0.004 * prng_uniform(&seed))) / 1e6;
}

static double
full_entropy(int i, double before)
{
	(void) i;
	(void) before;
	return 100 + prng_normal(&seed);
}

typedef struct Kind
{
	const char *name;
	double (*next)(int i, double before);
} Kind;

static const Kind kinds[] = {
	{ "constant", constant },
	{ "rarely changing", rarely_changing },
	{ "connections", connections },
	{ "rare events", rare_events },
	{ "commits", commits },
	{ "tuples", tuples },
	{ "relation bytes", relation_bytes },
	{ "free memory", free_memory },
	{ "load average", load_average },
	{ "busy seconds", busy_seconds },
	{ "hit ratio", hit_ratio },
	{ "full entropy", full_entropy },
};

static void
measure_generated(const Kind *kind)
{
	Tally tally = { 0 };
	int64_t time = INT64_C(848000000000000);
	double before = 0;

	for (int i = 0; i < MOST; i++)
	{
		ts[i] = time + 1000 * (int64_t) (4 * pow(prng_uniform(&seed), 3));
		value[i] = before = kind->next(i, before);
		time += INT64_C(30000000) * (prng_next(&seed) % 500 == 0 ? 2 : 1);
	}
	measure(&tally, MOST);
	print(kind->name, &tally);
}

static bool
measure_file(const char *path, bool each)
{
	FILE *file = fopen(path, "r");
	char line[1024];
	long series = -1;
	int n = 0;
	Tally tally = { 0 };

	if (file == NULL)
	{
		perror(path);
		return false;
	}
	for (;;)
	{
		char *at = fgets(line, sizeof line, file);
		long id = at != NULL ? strtol(line, &at, 10) : -1;

		if (n > 0 && (id != series || n == MOST))
		{
			Tally one = { 0 };

			measure(each ? &one : &tally, n);
			if (each)
			{
				char name[32];

				snprintf(name, sizeof name, "series %ld", series);
				print(name, &one);
			}
			n = 0;
		}
		if (id < 0 || *at != ',')
			break;
		series = id;
		ts[n] = strtoll(at + 1, &at, 10);
		value[n++] = strtod(at + 1, &at);
	}
	fclose(file);
	if (!each)
		print(path, &tally);
	return tally.samples > 0 || each;
}

int
main(int argc, char **argv)
{
	bool each = argc > 1 && strcmp(argv[1], "--each") == 0;

	printf("%-28s %9s %10s %29s %17s\n", "", "", "Prometheus", "perfopt, bytes a sample",
		   "ns a sample");
	printf("%-28s %9s %10d %9d %9d %9d %8s %8s\n", "samples in a chunk:", "samples",
		   PROMETHEUS_CHUNK, lengths[0], lengths[1], lengths[2], "encode", "decode");
	if (argc == 1)
		for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
			measure_generated(&kinds[i]);
	for (int i = 1 + each; i < argc; i++)
		if (!measure_file(argv[i], each))
			return 1;
	print("all", &everything);
	return everything.ours[0] < everything.prometheus ? 0 : 1;
}
