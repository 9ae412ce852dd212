// What each panel shows. All take data and put elements; none asks for anything by itself but at a click.

function bodyOf(panel) {
  return byId(panel).querySelector(".body");
}

function say(panel, kind, text) {
  bodyOf(panel).replaceChildren(element("p", { class: kind }, text));
}

function tellProblem(panel, problem) {
  if (problem.status === 403) say(panel, "forbidden", "Your role may not see this: " + problem.message);
  else say(panel, "error", problem.message + (problem.hint ? " " + problem.hint : ""));
}

function showHealth(rows) {
  const overall = rows.find((row) => row.dimension === "overall");
  const status = byId("overall");
  status.className = "text-" + overall.status;
  status.textContent = overall.score === null ? "health unknown" : "health " + overall.score + " of 100, " + overall.status;
  bodyOf("health").replaceChildren(element("div", { class: "cards" }, ...rows.map((row) =>
    element("div", { class: "card " + row.status }, row.dimension, element("b", null, row.score === null ? "–" : row.score),
      element("p", { class: "text-" + row.status }, row.status), element("p", null, row.detail || "")))));
}

function alertButton(alert, verb, title) {
  return element("button", {
    type: "button",
    "aria-label": title + " alert " + alert.alert_id,
    onclick: () => act("alerts", () => post("alerts/" + alert.alert_id + "/" + verb)),
  }, title);
}

function showAlerts(alerts) {
  if (alerts.length === 0) {
    say("alerts", "empty", "No alert is active.");
    return;
  }
  bodyOf("alerts").replaceChildren(table("Alerts", [
    { title: "Severity", value: (a) => element("span", { class: "text-" + a.severity }, a.severity) },
    { title: "Alert", value: (a) => a.name + (labelText(a.labels) ? " (" + labelText(a.labels) + ")" : "") },
    { title: "Value", number: true, value: (a) => withUnit(a.value, a.unit) },
    { title: "State", value: (a) => a.state + (a.silenced ? ", silenced" : "") },
    { title: "Since", number: true, value: (a) => ago(a.fired_at || a.pending_since) },
    { title: "", value: (a) => element("div", { class: "tools" },
      a.state === "firing" ? alertButton(a, "acknowledge", "Acknowledge") : null,
      alertButton(a, "resolve", "Resolve")) },
  ], alerts));
}

function showStatements(rows) {
  if (rows.length === 0) {
    say("statements", "empty", "No session was active.");
    return;
  }
  bodyOf("statements").replaceChildren(table("Top statements", [
    { title: "Share", number: true, value: (s) => shortNumber(s.share_pct) + " %" },
    { title: "Sessions", number: true, value: (s) => shortNumber(s.aas) },
    { title: "Statement", value: (s) => s.text || "query " + s.query_id },
  ], rows));
}

function showBottlenecks(rows) {
  if (rows.length === 0) {
    say("bottlenecks", "empty", "Nothing held the server back.");
    return;
  }
  bodyOf("bottlenecks").replaceChildren(...rows.map((row) => element("details", null,
    element("summary", null, element("span", { class: "text-" + row.severity }, row.severity), " ",
      row.finding + (row.entity ? " at " + row.entity : "") +
      (row.impact_pct === null ? "" : ", " + shortNumber(row.impact_pct) + " % of DB time")),
    element("p", null, row.root_cause || ""),
    row.factors && row.factors.length ? element("p", null, "Belongs to it: " + JSON.stringify(row.factors)) : null)));
}

function copyButton(text) {
  const button = element("button", { type: "button" }, "Copy SQL");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (error) {
      button.textContent = "Select it by hand";
    }
  });
  return button;
}

function recommendationButton(row, verb, title) {
  return element("button", {
    type: "button",
    onclick: () => act("recommendations", () => post("optimization/recommendations/" + row.recommendation_id + "/" + verb)),
  }, title);
}

function showRecommendations(rows) {
  if (rows.length === 0) {
    say("recommendations", "empty", "Nothing is recommended. An analysis looks for it.");
    return;
  }
  bodyOf("recommendations").replaceChildren(...rows.map((row) => element("details", null,
    element("summary", null, row.rank + ". " + row.title + " (" + row.state + ")"),
    element("p", { class: "about" }, "Impact " + (row.impact_pct === null ? "unknown" : shortNumber(row.impact_pct) + " % of DB time") +
      ", risk " + row.risk + ", effort " + shortNumber(row.effort_hours) + " h"),
    row.rationale ? element("p", null, row.rationale) : null,
    row.action_sql ? element("pre", null, row.action_sql) : null,
    row.revert_sql ? element("p", { class: "about" }, "To undo it:") : null,
    row.revert_sql ? element("pre", null, row.revert_sql) : null,
    element("div", { class: "row" }, row.action_sql ? copyButton(row.action_sql) : null,
      row.state === "proposed" ? recommendationButton(row, "accept", "Accept") : null,
      row.state === "proposed" || row.state === "accepted" ? recommendationButton(row, "dismiss", "Dismiss") : null))));
}

function showProgress(container, run, progress) {
  container.replaceChildren(element("div", { class: "card" }, "Test " + run + ": " + progress.state + ", " + progress.phase,
    element("b", null, shortNumber(progress.throughput) + " calls/s"),
    element("p", null, shortNumber(progress.elapsed_s) + " of " + shortNumber(progress.total_s) + " s, " + progress.users + " users, p95 " +
      shortNumber(progress.p95_ms) + " ms, " + progress.errors + " errors" + (progress.problem ? ", " + progress.problem : "")),
    element("div", { class: "chart" }),
    element("button", { type: "button", onclick: () => act("tests", () => post("tests/" + run + "/cancel")) }, "Cancel test " + run)));
}

function showReport(rows, run) {
  byId("tests").querySelector(".report").replaceChildren(element("h3", null, "Report of test " + run), table("Report of test " + run, [
    { title: "Operation", value: (r) => r.operation },
    { title: "Calls", number: true, value: (r) => shortNumber(r.calls) },
    { title: "Errors", number: true, value: (r) => shortNumber(r.errors) },
    { title: "Calls/s", number: true, value: (r) => shortNumber(r.throughput) },
    { title: "p50 ms", number: true, value: (r) => shortNumber(r.p50_ms) },
    { title: "p95 ms", number: true, value: (r) => shortNumber(r.p95_ms) },
    { title: "p99 ms", number: true, value: (r) => shortNumber(r.p99_ms) },
  ], rows));
}

function showComparison(rows, a, b) {
  byId("tests").querySelector(".report").replaceChildren(element("h3", null, "From test " + a + " to " + b), table("Comparison", [
    { title: "Operation", value: (r) => r.operation },
    { title: "Figure", value: (r) => r.metric },
    { title: "Test " + a, number: true, value: (r) => shortNumber(r.a) },
    { title: "Test " + b, number: true, value: (r) => shortNumber(r.b) },
    { title: "Change %", number: true, value: (r) => shortNumber(r.change_pct) },
    { title: "Verdict", value: (r) => r.verdict },
  ], rows));
}

function showTests(rows) {
  if (rows.length === 0) {
    say("tests", "empty", "No test has run yet.");
    return;
  }
  bodyOf("tests").replaceChildren(table("Load tests", [
    { title: "Test", number: true, value: (t) => t.run_id },
    { title: "Kind", value: (t) => t.kind },
    { title: "Scenario", value: (t) => t.scenario },
    { title: "State", value: (t) => t.state + (t.verdict ? ", " + t.verdict : "") },
    { title: "Began", number: true, value: (t) => ago(t.started_at) + " ago" },
    { title: "", value: (t) => element("div", { class: "tools" },
      element("button", { type: "button", "aria-label": "Report of test " + t.run_id,
        onclick: () => act(null, async () => showReport((await get("tests/" + t.run_id + "/report")).items, t.run_id)) }, "Report"),
      t.earlier ? element("button", { type: "button", "aria-label": "Compare test " + t.earlier + " with " + t.run_id,
        onclick: () => act(null, async () => showComparison(
          (await get("tests/compare", { a: t.earlier, b: t.run_id })).items, t.earlier, t.run_id)) }, "Compare with " + t.earlier) : null) },
  ], rows));
}
