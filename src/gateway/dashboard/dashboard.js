// What is asked for when.

const REFRESH_MS = 10000;
const CHARTS_MS = 30000;
let events = null;
let followed = null;
let timers = [];

function notice(text) {
  const node = byId("notice");
  node.hidden = !text;
  node.textContent = text || "";
}

// One panel's work: a failure is shown in that panel, and a lost login leads back to the form.
async function guarded(panel, work) {
  try {
    await work();
    return true;
  } catch (problem) {
    if (problem.name === "AbortError") return false;
    if (problem.status === 401) logOut("Your login is not accepted any more: " + problem.message);
    else if (panel && problem.status !== 0) tellProblem(panel, problem);
    else notice(problem.message + (problem.hint ? " " + problem.hint : ""));
    return false;
  }
}

// A click that changes something: what went wrong is told above, and what is shown is brought up to date.
async function act(panel, work) {
  notice("");
  try {
    await work();
  } catch (problem) {
    notice((problem.status === 403 ? "Your role may not do this: " : "") + problem.message + (problem.hint ? " " + problem.hint : ""));
    return;
  }
  if (panel === "alerts") await refresh();
  if (panel === "recommendations") await refreshRecommendations();
  if (panel === "tests") await refreshTests();
}

async function refresh() {
  let seen;
  try {
    seen = await get("metrics/dashboard");
  } catch (problem) {
    if (problem.status === 401) logOut(problem.message);
    else for (const panel of ["health", "alerts", "statements"]) tellProblem(panel, problem);
    return;
  }
  showHealth(seen.health);
  showAlerts(seen.alerts);
  showStatements(seen.statements);
  fillDimensions(seen.metrics);
  for (const test of seen.tests) followTest(test.run_id);
}

function refreshRecommendations() {
  return guarded("recommendations", async () => showRecommendations((await get("optimization/recommendations")).items));
}

function refreshBottlenecks() {
  return guarded("bottlenecks", async () => showBottlenecks((await get("optimization/bottlenecks", { since: "15 min" })).items));
}

function refreshTests() {
  return guarded("tests", async () => {
    const rows = (await get("tests", { limit: 10 })).items;
    rows.forEach((row, i) => {
      const earlier = rows.slice(i + 1).find((other) => other.scenario === row.scenario && other.state === "finished");
      row.earlier = earlier && row.state === "finished" ? earlier.run_id : null;
    });
    showTests(rows);
  });
}

function fillDimensions(metrics) {
  const dimension = byId("dimension");
  if (dimension.options.length > 0) return;
  dimension.replaceChildren(...Object.keys(metrics).sort().map((name) => element("option", { value: name }, name)));
  dimension.value = metrics.system ? "system" : dimension.value;
  const fill = () => {
    const names = [...new Map((metrics[dimension.value] || []).map((row) => [row.metric, row.unit])).entries()].sort();
    byId("metric").replaceChildren(...names.map(([name, unit]) => element("option", { value: name, "data-unit": unit }, name)));
    if (dimension.value === "system") byId("metric").value = "node_cpu_busy_ratio";
    drawCourse();
  };
  dimension.onchange = fill;
  fill();
}

function rangeBegin() {
  return Date.now() / 1000 - Number(byId("range").selectedOptions[0].dataset.seconds);
}

async function drawCourse() {
  const metric = byId("metric").value;
  if (!metric) return;
  const option = byId("metric").selectedOptions[0];
  await guarded("course", async () => {
    const rows = (await get("metrics/history", { metric, since: byId("range").value })).items;
    const data = columns(rows, (row) => labelText(row.labels) || metric, (row) => row.avg);
    const chart = byId("course").querySelector(".chart");
    if (data.times.length === 0) {
      chart.replaceChildren();
      say("course", "empty", "No samples in this range.");
      return;
    }
    draw(chart, rangeBegin(), data.times, data.series, metric.endsWith("_total") ? "" : option.dataset.unit, false);
    bodyOf("course").replaceChildren(metric.endsWith("_total") ? element("p", { class: "about" }, "Increase between two samples") : "");
  });
}

async function drawWaits() {
  await guarded("waits", async () => {
    const rows = (await get("metrics/history", { metric: "pg_active_sessions", since: byId("range").value })).items;
    // A wait that nobody was in has no sample, so the sum is over all samples of the step.
    const cycles = new Map();
    for (const row of rows) cycles.set(row.bucket, Math.max(row.n, cycles.get(row.bucket) || 0));
    const data = columns(rows, (row) => row.labels.wait_event === "CPU" ? "CPU" : row.labels.wait_class + ":" + row.labels.wait_event,
      (row) => (row.avg * row.n) / cycles.get(row.bucket));
    const chart = byId("waits").querySelector(".chart");
    if (data.times.length === 0) {
      chart.replaceChildren();
      say("waits", "empty", "No session was active in this range.");
      return;
    }
    draw(chart, rangeBegin(), data.times, data.series, "", true);
    bodyOf("waits").replaceChildren();
  });
}

async function followTest(run) {
  if (followed) return;
  followed = new AbortController();
  const container = byId("tests").querySelector(".live");
  const times = [];
  const rate = [];
  const p95 = [];
  await guarded("tests", () => follow("tests/" + run + "/progress/events", followed.signal, (kind, progress) => {
    if (kind === "problem") {
      notice(progress.detail);
      return;
    }
    showProgress(container, run, progress);
    times.push(Date.now() / 1000);
    rate.push(progress.throughput);
    p95.push(progress.p95_ms);
    draw(container.querySelector(".chart"), times[0], times, [{ name: "calls/s", values: rate }, { name: "p95 ms", values: p95 }], "", false);
  }));
  container.replaceChildren();
  followed = null;
  await refreshTests();
}

// Alerts as they happen; when the stream ends, a new one begins with the next refresh.
async function listen() {
  if (events) return;
  events = new AbortController();
  try {
    await follow("alerts/events", events.signal, (kind) => {
      if (kind !== "problem") refresh();
    });
  } catch (problem) {
    // The regular refresh shows the same, later.
  }
  events = null;
}

async function fillScenarios() {
  await guarded(null, async () => {
    const rows = (await get("tests/scenarios")).items;
    byId("start").elements.scenario.replaceChildren(...rows.map((row) => element("option", { value: row.name }, row.name)));
  });
}

function whenVisible(work) {
  return () => {
    if (!document.hidden && authorization) work();
  };
}

function everything() {
  refresh();
  refreshRecommendations();
  refreshBottlenecks();
  refreshTests();
  drawWaits();
}

async function logIn(header) {
  authorization = header;
  notice("");
  try {
    await get("metrics/health");
  } catch (problem) {
    // One who may not read still sees the page, and in each panel why it is empty.
    if (problem.status !== 403) {
      authorization = null;
      notice(problem.message + (problem.hint ? " " + problem.hint : ""));
      return;
    }
  }
  byId("login").hidden = true;
  byId("main").hidden = byId("tools").hidden = false;
  for (const panel of ["health", "waits", "course", "alerts", "statements", "bottlenecks", "recommendations", "tests"])
    say(panel, "loading", "Loading ...");
  byId("main").focus();
  everything();
  fillScenarios();
  listen();
  timers = [
    setInterval(whenVisible(() => { refresh(); listen(); }), REFRESH_MS),
    setInterval(whenVisible(() => { drawWaits(); drawCourse(); refreshBottlenecks(); }), CHARTS_MS),
  ];
}

function logOut(text) {
  authorization = null;
  timers.forEach(clearInterval);
  if (events) events.abort();
  if (followed) followed.abort();
  byId("dimension").replaceChildren();
  byId("overall").textContent = "";
  byId("main").hidden = byId("tools").hidden = true;
  byId("login").hidden = false;
  notice(text);
  byId("login").elements.user.focus();
}

byId("login").addEventListener("submit", (event) => {
  const fields = event.target.elements;
  event.preventDefault();
  logIn(fields.token.value ? "Bearer " + fields.token.value : basic(fields.user.value, fields.password.value));
  fields.password.value = fields.token.value = "";
});
byId("start").addEventListener("submit", (event) => {
  const fields = event.target.elements;
  event.preventDefault();
  act("tests", async () => {
    const run = (await post("tests/load", { scenario: fields.scenario.value, users: Number(fields.users.value), duration: fields.duration.value })).run_id;
    followTest(run);
  });
});
byId("logout").addEventListener("click", () => logOut(""));
byId("range").addEventListener("change", () => { drawWaits(); drawCourse(); });
byId("metric").addEventListener("change", drawCourse);
byId("analyze").addEventListener("click", () => act("recommendations", () => post("optimization/analyze", { since: "15 min" })));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", whenVisible(() => { drawWaits(); drawCourse(); }));
byId("login").hidden = false;
byId("login").elements.user.focus();
