/*
 * relations.h
 *	  Reading the statistics of one database's tables, indexes and sequences: of the database that the
 *	  calling process is connected to.
 *
 * Names come from pg_class, table sizes from relpages (as of the last VACUUM, ANALYZE or CREATE INDEX), and
 * counts from the cumulative statistics by one look-up a relation, since the views pg_stat_user_tables
 * and pg_stat_user_indexes cost a dozen each.  Nothing here waits for a lock on a user's relation.
 *
 * Left out are the server's own schemas, perfopt's, and temporary relations.  A reading is flat, so that
 * it can be copied between processes: names are offsets into one buffer.
 */
#ifndef PERFOPT_COLLECT_RELATIONS_H
#define PERFOPT_COLLECT_RELATIONS_H

/* Relations that a database may have before it is read by a process of its own, and all told. */
#define PERFOPT_RELATIONS_AT_HOME 10000
#define PERFOPT_RELATIONS_LOOKED_AT 400000

/* Sequences of the reading: those that are nearest to their end, if they have come so far (ratio). */
#define PERFOPT_SEQUENCES_SHOWN 10
#define PERFOPT_SEQUENCE_FLOOR 0.01

/* Longest label: a schema and a table, or an index. */
#define PERFOPT_RELATION_LABEL (2 * NAMEDATALEN)

typedef enum PerfoptRelationCounter
{
	PERFOPT_REL_SEQ_SCAN,
	PERFOPT_REL_TUP_READ, /* of a table by sequential scans; of an index its entries */
	PERFOPT_REL_IDX_SCAN,
	PERFOPT_REL_IDX_TUP_FETCH,
	PERFOPT_REL_INS,
	PERFOPT_REL_UPD,
	PERFOPT_REL_DEL,
	PERFOPT_REL_HOT_UPDATE,
	PERFOPT_REL_BLOCKS_READ, /* with TOAST and indexes */
	PERFOPT_REL_BLOCKS_HIT,
	PERFOPT_REL_COUNTERS
} PerfoptRelationCounter;

typedef struct PerfoptRelation
{
	Oid relid;
	bool is_index;
	bool worst; /* among those with most dead or modified rows, or the largest */
	int64 counters[PERFOPT_REL_COUNTERS];
	int64 live; /* rows, here and below; estimates of the server */
	int64 dead;
	int64 modified; /* since the last ANALYZE */
	int64 bytes;    /* of a table with TOAST and indexes */
	uint32 table;   /* "schema.table", of an index its table's */
	uint32 index;   /* name of the index */
} PerfoptRelation;

typedef struct PerfoptSequence
{
	double used; /* ratio */
	uint32 name; /* "schema.sequence" */
} PerfoptSequence;

typedef struct PerfoptReading
{
	int seen;      /* relations of the database that count */
	bool complete; /* every relation with any count is among `relations` */
	int nrelations;
	PerfoptRelation *relations; /* by relid */
	int nsequences;
	PerfoptSequence *sequences; /* the most used first */
	Size names_used;
	char *names;
} PerfoptReading;

typedef struct PerfoptReadingLimits
{
	int looked_at;       /* relations */
	bool all_or_nothing; /* of a database that has more, only say how many it has */
	int kept;            /* relations in the reading, beside the worst */
	int worst_tables;    /* of each kind of worst */
	int largest_indexes;
} PerfoptReadingLimits;

/*
 * Inside a transaction.  The reading is palloc'd in the current context.  Kept are, of tables and of
 * indexes, limits->kept / 2 that were busiest since their statistics began, and the worst.
 */
extern void perfopt_relations_read(PerfoptReading *reading, const PerfoptReadingLimits *limits);

/*
 * Adds the sequences that are nearest to their end to a reading.  One that somebody has locked
 * against readers is left out.
 */
extern void perfopt_sequences_read(PerfoptReading *reading);

/* An empty reading for that many relations, for who wants sequences alone. */
extern void perfopt_reading_init(PerfoptReading *reading, int relations);

/* Bytes that a flat copy of any reading with these limits takes, and the copy itself. */
extern Size perfopt_reading_size(const PerfoptReadingLimits *limits);
extern void perfopt_reading_pack(char *to, const PerfoptReading *reading);
/* The unpacked reading points into the copy. */
extern void perfopt_reading_unpack(PerfoptReading *reading, char *from);

/* For those who add names to a reading. */
extern uint32 perfopt_reading_name(PerfoptReading *reading, const char *schema, const char *name);

#endif /* PERFOPT_COLLECT_RELATIONS_H */
