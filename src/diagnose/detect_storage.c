/*
 * detect_storage.c
 *	  Findings about disks and file systems as such.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"
#include "math/robust.h"

#define GIB (1024.0 * 1024.0 * 1024.0)

/* Points of a file system's course, and how far back it is looked at beside the window, in seconds. */
#define COURSE_POINTS 60
#define COURSE_S (6 * 3600.0)

static const PerfoptThreshold read_ms = { "ms", "milliseconds a read", 10,
										  "convention: a read from a disk that turns" };
static const PerfoptThreshold read_factor = { "factor", "times the mean of the day before", 2,
											  "judgement: load alone moves it by less" };
static const PerfoptThreshold read_floor = { "reads", "reads in the window", 100,
											 "judgement: fewer make no mean" };
static const PerfoptThreshold latency_aas = { "aas", "AAS waiting for reads of data files", 0.15,
											  "measured: catalogue of findings" };
static const PerfoptThreshold utilisation = { "utilisation", "share of time that a disk is busy",
											  0.98, "convention: netdata" };
static const PerfoptThreshold utilisation_s = { "seconds", "for seconds", 600,
												"convention: netdata" };
static const PerfoptThreshold saturation_aas = {
	"aas", "AAS waiting for I/O that no other finding explains", 0.15,
	"measured: catalogue of findings"
};
static const PerfoptThreshold full_warning = { "warning_hours", "warning from hours left", 48,
											   "convention: netdata" };
static const PerfoptThreshold full_critical = { "critical_hours", "critical from hours left", 24,
												"convention: netdata" };
static const PerfoptThreshold full_observed = {
	"observed_seconds", "a trend over seconds, unless little is free", 3600,
	"judgement: a shorter one may be a single bulk load"
};
static const PerfoptThreshold full_little = { "little_free", "little is a free share of", 0.2,
											  "convention: netdata warns when 80 % are used" };
static const PerfoptThreshold full_now = { "full_free", "critical from a free share of", 0.02,
										   "convention: netdata; 98 % used" };
static const PerfoptThreshold full_now_gib = { "full_gib", "and GiB free", 10,
											   "judgement: a percent of a large disk is much" };

static const char *const read_waits[] = { "IO:DataFileRead", "IO:DataFilePrefetch", NULL };
static const char *const io_waits[] = { "IO:DataFileRead",
										"IO:DataFilePrefetch",
										"IO:DataFileWrite",
										"IO:DataFileExtend",
										"IO:DataFileSync",
										"IO:DataFileFlush",
										"IO:BufFileRead",
										"IO:BufFileWrite",
										"IO:WALWrite",
										"IO:WALSync",
										"IO:WalWrite",
										"IO:WalSync",
										NULL };

/* arg is the part of a read's time that is too long. */
static double
weigh_reads(const PerfoptFacts *facts, const PerfoptActivity *activity, const void *arg)
{
	return perfopt_weigh_waits(facts, activity, read_waits) * *(const double *) arg;
}

/* The series of a counter of disks that grew most. */
static PerfoptSeries *
busiest_disk(const PerfoptFacts *facts, const char *metric)
{
	PerfoptSeries *busiest = NULL;

	for (PerfoptSeries *s = NULL; (s = perfopt_facts_series(facts, metric, s)) != NULL;)
	{
		if (busiest == NULL || s->sum > busiest->sum)
			busiest = s;
	}
	return busiest;
}

static void
detect_disk_read_latency(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *time = busiest_disk(facts, "node_disk_read_time_seconds_total");
	PerfoptSeries *reads = time ? perfopt_facts_twin(facts, "node_disk_reads_total", time) : NULL;
	PerfoptShare waits = perfopt_facts_share(facts, perfopt_weigh_waits, read_waits);
	double limit_ms = perfopt_limit(diagnosis, &read_ms);
	double least = perfopt_limit(diagnosis, &read_floor);
	double usual_ms = NAN;
	double now_ms;
	double part;
	char *device;
	PerfoptFinding *finding;

	if (!facts->measurable || reads == NULL || reads->sum < least ||
		waits.aas < perfopt_limit(diagnosis, &latency_aas))
		return;
	now_ms = 1000 * time->sum / reads->sum;
	if (reads->past.sum >= least)
		usual_ms = 1000 * time->past.sum / reads->past.sum;
	if (now_ms < limit_ms || now_ms < perfopt_limit(diagnosis, &read_factor) * usual_ms)
		return;
	part = 1 - (isnan(usual_ms) ? limit_ms : usual_ms) / now_ms;
	device = perfopt_series_label(time, "device");
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, psprintf("disk %s", device));
	perfopt_finding_impact(finding, perfopt_facts_share(facts, weigh_reads, &part));
	finding->root_cause =
		psprintf("Each of %.0f reads of disk %s took %.1f ms on average%s while %.2f sessions "
				 "waited for reads: "
				 "the disk itself is slow, or others keep it busy.",
				 reads->sum, device, now_ms,
				 isnan(usual_ms) ? ""
								 : psprintf(", where it took %.1f ms in the day before", usual_ms),
				 waits.aas);
	perfopt_evidence_text(finding, "device", device);
	perfopt_evidence_number(finding, "reads", reads->sum);
	perfopt_evidence_number(finding, "read_ms", now_ms);
	perfopt_evidence_number(finding, "read_ms_before", usual_ms);
	perfopt_evidence_number(finding, "read_wait_aas", waits.aas);
	perfopt_evidence_series(finding, facts, time);
	perfopt_facts_charge(facts, weigh_reads, &part);
}

static void
detect_disk_saturation(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *busy = busiest_disk(facts, "node_disk_io_time_seconds_total");
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, io_waits);
	double pressure_s = perfopt_facts_increase(facts, "node_pressure_io_waiting_seconds_total");
	PerfoptSeries *weighted;
	char *device;
	PerfoptFinding *finding;

	if (!facts->measurable || busy == NULL ||
		busy->seconds < perfopt_limit(diagnosis, &utilisation_s) ||
		busy->sum <= perfopt_limit(diagnosis, &utilisation) * busy->seconds ||
		share.aas < perfopt_limit(diagnosis, &saturation_aas))
		return;
	device = perfopt_series_label(busy, "device");
	weighted = perfopt_facts_twin(facts, "node_disk_io_weighted_time_seconds_total", busy);
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, psprintf("disk %s", device));
	perfopt_finding_impact(finding, share);
	finding->root_cause =
		psprintf("Disk %s was busy for %.0f %% of %s%s; %.2f sessions on average waited for I/O "
				 "that no other "
				 "finding explains.",
				 device, 100 * busy->sum / busy->seconds, perfopt_duration(busy->seconds),
				 weighted ? psprintf(" with %.1f requests under way at a time",
									 weighted->sum / busy->seconds)
						  : "",
				 share.aas);
	perfopt_evidence_text(finding, "device", device);
	perfopt_evidence_number(finding, "busy_pct", 100 * busy->sum / busy->seconds);
	perfopt_evidence_number(finding, "queue_avg", weighted ? weighted->sum / busy->seconds : NAN);
	perfopt_evidence_number(finding, "pressure_pct", 100 * pressure_s / busy->seconds);
	perfopt_evidence_number(finding, "io_wait_aas", share.aas);
	perfopt_evidence_series(finding, facts, busy);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "disk_read_latency"));
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "wal_sync"));
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "shared_buffers_pressure"));
}

/*
 * Seconds until nothing is left, as the course of the last seconds goes: infinite unless it falls for
 * certain (the interval of the slope, which no single jump can move, is below zero).
 */
static double
time_left(const PerfoptFacts *facts, const PerfoptSeries *avail, double seconds, double *observed_s)
{
	double x[COURSE_POINTS];
	double y[COURSE_POINTS];
	double *scratch = palloc(sizeof(double) * PERFOPT_THEIL_SEN_SCRATCH(COURSE_POINTS));
	int n = perfopt_facts_course(facts, avail, seconds, COURSE_POINTS, x, y);
	PerfoptTrend trend = perfopt_theil_sen(x, y, n, 0.95, scratch);

	pfree(scratch);
	*observed_s = n > 1 ? x[n - 1] - x[0] : 0;
	return trend.high < 0 ? avail->last / -trend.slope : INFINITY;
}

static bool
seen_before(const PerfoptFacts *facts, const PerfoptSeries *avail)
{
	char *mount = perfopt_series_label(avail, "mount");

	return perfopt_facts_labelled(facts, avail->metric, "mount", mount) != avail;
}

static void
detect_disk_full(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	double window_s = (facts->until - facts->since) / (double) USECS_PER_SEC;

	for (PerfoptSeries *s = NULL;
		 (s = perfopt_facts_series(facts, "node_filesystem_avail_bytes", s)) != NULL;)
	{
		PerfoptSeries *size = perfopt_facts_twin(facts, "node_filesystem_size_bytes", s);
		double free = size && size->last > 0 ? s->last / size->last : NAN;
		bool little = free < perfopt_limit(diagnosis, &full_little);
		bool full = free < perfopt_limit(diagnosis, &full_now) &&
					s->last < perfopt_limit(diagnosis, &full_now_gib) * GIB;
		double left_s = INFINITY;
		double observed_s;
		char *mount;
		PerfoptFinding *finding;

		/* One that holds several things has a series for each. */
		if (seen_before(facts, s))
			continue;
		if (s->last < s->first)
		{
			left_s = time_left(facts, s, window_s, &observed_s);
			if (!little && observed_s < perfopt_limit(diagnosis, &full_observed))
				left_s = INFINITY;
			if (window_s < COURSE_S)
			{
				double longer_s = time_left(facts, s, COURSE_S, &observed_s);

				if (observed_s >= perfopt_limit(diagnosis, &full_observed))
					left_s = Min(left_s, longer_s);
			}
		}
		if (!full && !(left_s < 3600 * perfopt_limit(diagnosis, &full_warning)))
			continue;
		mount = perfopt_series_label(s, "mount");
		finding =
			perfopt_finding_add(diagnosis,
								full || left_s < 3600 * perfopt_limit(diagnosis, &full_critical)
									? PERFOPT_CRITICAL
									: PERFOPT_WARNING,
								psprintf("%s (%s)", mount, perfopt_series_label(s, "role")));
		finding->root_cause =
			psprintf("File system %s, which holds %s files, has %.2f GiB free%s%s; once it is full "
					 "the server "
					 "cannot write and may stop.",
					 mount, perfopt_series_label(s, "role"), s->last / GIB,
					 size ? psprintf(" of %.2f GiB", size->last / GIB) : "",
					 isfinite(left_s)
						 ? psprintf(", and at the rate seen none in %s", perfopt_duration(left_s))
						 : "");
		perfopt_evidence_time_left(finding, full ? 0 : left_s);
		perfopt_evidence_text(finding, "mount", mount);
		perfopt_evidence_text(finding, "role", perfopt_series_label(s, "role"));
		perfopt_evidence_number(finding, "avail_bytes", s->last);
		perfopt_evidence_number(finding, "size_bytes", size ? size->last : NAN);
		perfopt_evidence_number(finding, "free_pct", 100 * free);
		perfopt_evidence_series(finding, facts, s);
	}
}

const PerfoptDetector perfopt_storage_detectors[] = {
	{ "disk_read_latency", "disk", PERFOPT_STAGE_RESOURCE, detect_disk_read_latency,
	  PERFOPT_THRESHOLDS(&read_ms, &read_factor, &read_floor, &latency_aas) },
	{ "disk_saturation", "disk", PERFOPT_STAGE_REST, detect_disk_saturation,
	  PERFOPT_THRESHOLDS(&utilisation, &utilisation_s, &saturation_aas) },
	{ "disk_full", "disk", PERFOPT_STAGE_REST, detect_disk_full,
	  PERFOPT_THRESHOLDS(&full_warning, &full_critical, &full_observed, &full_little, &full_now,
						 &full_now_gib) },
	{ NULL }
};
