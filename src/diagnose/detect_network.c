/*
 * detect_network.c
 *	  Findings about the way between server and clients.
 */
#include "postgres.h"

#include <math.h>

#include "diagnose/diagnose.h"

static const PerfoptThreshold write_aas = { "AAS waiting for clients to take their rows", 0.15,
											"measured: catalogue of findings" };
static const PerfoptThreshold write_critical = { "critical from AAS", 1.0,
												 "judgement: a whole session at all times" };

static const char *const client_waits[] = { "Client:ClientWrite", NULL };

void
perfopt_detect_client_wait(PerfoptDiagnosis *diagnosis)
{
	PerfoptFacts *facts = diagnosis->facts;
	PerfoptShare share = perfopt_facts_share(facts, perfopt_weigh_waits, client_waits);
	const PerfoptStatement *statement;
	PerfoptFinding *finding;

	if (!facts->measurable || share.aas < write_aas.value)
		return;
	statement = perfopt_busiest_statement(facts, perfopt_weigh_waits, client_waits);
	finding =
		perfopt_finding_add(diagnosis,
							share.aas >= write_critical.value ? PERFOPT_CRITICAL : PERFOPT_WARNING,
							statement ? perfopt_query_name(statement->query_id)
									  : pstrdup("clients"));
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
	perfopt_finding_lineage(finding, &write_aas, &write_critical, NULL);
	perfopt_facts_charge(facts, perfopt_weigh_waits, client_waits);
}
