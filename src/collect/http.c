/*
 * http.c
 *	  Probes of HTTP targets: whether they answer as they should, how long each step took, and until
 *	  when their certificate is good.
 */
#include "postgres.h"

#include <time.h>

#include "collect/collect.h"
#include "collect/http_client.h"
#include "collect/prober.h"
#include "target/target.h"

#define SOURCE "http"

/* A page to look at may be large, but a probe is no download. */
#define MAX_BODY_BYTES (8 * 1024 * 1024)

#define MAX_REDIRECTS 3

/* An answer with this status and above is a failure, unless the target names the one it expects. */
#define FIRST_FAILURE 400

enum
{
	UP,
	DURATION,
	STATUS,
	CERT_EXPIRY
};

const PerfoptMetric perfopt_http_metrics[] = {
	[UP] = { "probe_up", "external", PERFOPT_GAUGE, "bool",
			 "Whether the target answered in time, below status 400 or with the expected one" },
	[DURATION] = { "probe_duration_seconds", "external", PERFOPT_GAUGE, "seconds",
				   "Time of a phase (dns, connect, tls, first_byte) or in total" },
	[STATUS] = { "probe_http_status", "external", PERFOPT_GAUGE, "status",
				 "HTTP status of the answer" },
	[CERT_EXPIRY] = { "probe_cert_expiry_seconds", "external", PERFOPT_GAUGE, "seconds",
					  "Time until the server's certificate expires; negative when it has" },
};
const int perfopt_http_nmetrics = lengthof(perfopt_http_metrics);

typedef struct Probe
{
	const PerfoptTarget *target;
	PerfoptHttpAnswer *answer; /* NULL when the target cannot be asked */
} Probe;

/* This cycle's. */
static Probe *probes = NULL;
static int nprobes = 0;

void
perfopt_start_http(PerfoptLoop *loop)
{
	List *unusable = NIL;
	List *usable;
	ListCell *cell;

	nprobes = 0;
	usable = perfopt_prober_usable(SOURCE, "http", &unusable);
	probes = palloc0((list_length(usable) + list_length(unusable) + 1) * sizeof(Probe));
	foreach (cell, usable)
	{
		PerfoptTarget *target = lfirst(cell);
		PerfoptHttpRequest request;

		perfopt_http_request_of(target, &request);
		request.method = perfopt_target_option(target, "method");
		request.headers = perfopt_http_headers(target, NULL);
		request.max_redirects = MAX_REDIRECTS;
		request.max_body = MAX_BODY_BYTES;
		probes[nprobes].target = target;
		probes[nprobes].answer = perfopt_http_start(loop, &request);
		nprobes++;
	}
	foreach (cell, unusable)
		probes[nprobes++].target = lfirst(cell);
}

static void
add_durations(PerfoptBatch *batch, const Probe *probe)
{
	const PerfoptHttpAnswer *answer = probe->answer;
	const struct
	{
		const char *name;
		double seconds;
	} phases[] = {
		{ "dns", answer->dns },
		{ "connect", answer->connect },
		{ "tls", answer->tls },
		{ "first_byte", answer->first_byte },
		{ "total", answer->error == NULL ? answer->total : -1 },
	};

	for (int i = 0; i < lengthof(phases); i++)
	{
		PerfoptLabel labels[] = { { "target", probe->target->name }, { "phase", phases[i].name } };

		if (phases[i].seconds >= 0)
			perfopt_batch_add(batch, &perfopt_http_metrics[DURATION], labels, lengthof(labels),
							  perfopt_prober_rounded(phases[i].seconds));
	}
}

/* Why an answer that came is not the right one, or NULL. */
static char *
status_problem(const Probe *probe)
{
	const char *option = perfopt_target_option(probe->target, "expected_status");
	int status = probe->answer->status;

	if (option != NULL && status != strtol(option, NULL, 10))
		return psprintf("the answer has status %d, not %s", status, option);
	if (option == NULL && status >= FIRST_FAILURE)
		return psprintf("the answer has status %d", status);
	return NULL;
}

static void
add_probe(PerfoptBatch *batch, const Probe *probe)
{
	PerfoptLabel label = { "target", probe->target->name };
	const PerfoptHttpAnswer *answer = probe->answer;
	const char *error;

	if (answer == NULL)
	{
		perfopt_batch_add(batch, &perfopt_http_metrics[UP], &label, 1, 0);
		return;
	}
	error = answer->error ? answer->error : status_problem(probe);
	perfopt_batch_add(batch, &perfopt_http_metrics[UP], &label, 1, error == NULL);
	add_durations(batch, probe);
	if (answer->status > 0)
		perfopt_batch_add(batch, &perfopt_http_metrics[STATUS], &label, 1, answer->status);
	if (answer->cert_expiry != 0)
		perfopt_batch_add(batch, &perfopt_http_metrics[CERT_EXPIRY], &label, 1,
						  difftime(answer->cert_expiry, time(NULL)));
	perfopt_collect_note(SOURCE, probe->target->name, error, -1, answer->total * 1000.0);
}

void
perfopt_collect_http(PerfoptBatch *batch)
{
	for (int i = 0; i < nprobes; i++)
		add_probe(batch, &probes[i]);
}
