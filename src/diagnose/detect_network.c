/*
 * detect_network.c
 *	  Findings about the way between server and clients.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold write_aas = { "aas", "AAS waiting for clients to take their rows",
											0.15, "measured: catalogue of findings" };
static const PerfoptThreshold write_critical = { "critical_aas", "critical from AAS", 1.0,
												 "judgement: a whole session at all times" };

static const PerfoptThreshold overflow_rate = { "per_minute", "connections lost a minute", 1,
												"convention: netdata" };
static const PerfoptThreshold overflow_floor = { "connections", "and in the window", 2,
												 "judgement: repeated, not one" };

static const char *const client_waits[] = { "Client:ClientWrite", NULL };

static void
detect_client_wait(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, client_waits);
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < perfopt_limit(diagnosis, &write_aas))
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, client_waits);
	finding = perfopt_finding_add(
		diagnosis,
		share.aas >= perfopt_limit(diagnosis, &write_critical) ? PERFOPT_CRITICAL : PERFOPT_WARNING,
		statement ? perfopt_query_name(statement->query_id) : pstrdup("clients"));
	if (statement != NULL)
		finding->statement_text = statement->text;
	perfopt_finding_impact(finding, share);
	finding->root_cause = psprintf(
		"%.2f sessions on average waited for their clients to take rows, %.0f %% of DB time: a "
		"statement returns more than its client or the network to it can take%s.",
		share.aas, 100 * share.share.share,
		statement ? psprintf(" (most of it role %s)", perfopt_role_name(statement->role)) : "");
	perfopt_evidence_number(finding, "client_write_aas", share.aas);
	if (statement != NULL)
	{
		perfopt_evidence_text(finding, "query_id", psprintf(INT64_FORMAT, statement->query_id));
		perfopt_evidence_text(finding, "role", perfopt_role_name(statement->role));
	}
	perfopt_evidence_sql(finding, facts, "query_id", "wait_event = 'ClientWrite'");
	perfopt_facts_charge(facts, perfopt_weigh_waits, client_waits);
}

static void
detect_listen_overflow(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptSeries *lost = perfopt_facts_series(facts, "node_tcp_listen_overflows_total", NULL);
	PerfoptFinding *finding;
	double per_minute;

	if (lost == NULL)
		return;
	per_minute = 60 * lost->sum / lost->seconds;
	if (!(per_minute > perfopt_limit(diagnosis, &overflow_rate)) ||
		lost->sum < perfopt_limit(diagnosis, &overflow_floor))
		return;
	finding = perfopt_finding_add(diagnosis, PERFOPT_WARNING, pstrdup("listen queue"));
	finding->root_cause = psprintf("%.0f connections were lost because a listen queue of this "
								   "machine was full (%.1f a minute): "
								   "clients come in bursts faster than they are taken in, and try "
								   "again after a second or more.",
								   lost->sum, per_minute);
	perfopt_evidence_number(finding, "connections_lost", lost->sum);
	perfopt_evidence_number(finding, "per_minute", per_minute);
	perfopt_evidence_number(finding, "sessions_per_s",
							perfopt_facts_rate(facts, "pg_sessions_total"));
	perfopt_evidence_series(finding, facts, lost);
	perfopt_finding_factor(finding, perfopt_finding_of(diagnosis, "connection_churn"));
}

const PerfoptDetector perfopt_network_detectors[] = {
	{ "client_wait", "network", PERFOPT_STAGE_RESOURCE, detect_client_wait,
	  PERFOPT_THRESHOLDS(&write_aas, &write_critical) },
	{ "listen_overflow", "network", PERFOPT_STAGE_REST, detect_listen_overflow,
	  PERFOPT_THRESHOLDS(&overflow_rate, &overflow_floor) },
	{ NULL }
};
