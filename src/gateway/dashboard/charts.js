// Charts on uPlot, in the page's colours.

const COLORS = ["#3b82c4", "#d9822b", "#3a9d5d", "#b3478f", "#8a6fd1", "#c0392b", "#5f9ea0", "#a08030", "#7f8c8d", "#2c6e91"];
const MOST_SERIES = 10;

function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(extra) {
  return { stroke: themed("--dim"), grid: { stroke: themed("--line"), width: 1 }, ticks: { stroke: themed("--line") }, ...extra };
}

// draw(container, from, times in s, [{name, values}], unit, stacked): replaces what was there.
function draw(container, from, times, series, unit, stacked) {
  const shown = stacked ? stack(series) : series;
  const options = {
    width: Math.max(260, container.clientWidth),
    height: 240,
    cursor: { drag: { x: false, y: false } },
    series: [{ label: "time" }, ...shown.map((one, i) => ({
      label: one.name,
      stroke: COLORS[i % COLORS.length],
      fill: stacked ? COLORS[i % COLORS.length] + "99" : undefined,
      width: stacked ? 1 : 1.5,
      value: (plot, value, index, at) => (at === null ? "–" : withUnit(series[i].values[at], unit)),
    }))],
    axes: [axis(), axis({ size: 70, values: (plot, values) => values.map((value) => withUnit(value, unit)) })],
    scales: {
      x: { range: () => [from, Math.max(from + 10, times[times.length - 1])] },
      y: { range: (plot, low, high) => [Math.min(0, low), high > low ? high * 1.05 : low + 1] },
    },
  };
  const bands = stacked ? shown.slice(1).map((one, i) => ({ series: [i + 2, i + 1] })) : undefined;
  container.replaceChildren();
  container.plot = new uPlot({ ...options, bands }, [times, ...shown.map((one) => one.values)], container);
}

// Each on top of those before it.
function stack(series) {
  const sum = [];
  return series.map((one) => ({
    name: one.name,
    values: one.values.map((value, i) => (sum[i] = (sum[i] || 0) + (value || 0))),
  }));
}

// Rows of metric_history as columns: the series with most in them first, what remains left out.
function columns(rows, nameOf, valueOf) {
  const times = [...new Set(rows.map((row) => Date.parse(row.bucket) / 1000))].sort((a, b) => a - b);
  const place = new Map(times.map((time, i) => [time, i]));
  const series = new Map();
  for (const row of rows) {
    const name = nameOf(row);
    if (!series.has(name)) series.set(name, { name, values: new Array(times.length).fill(null), sum: 0 });
    const one = series.get(name);
    const at = place.get(Date.parse(row.bucket) / 1000);
    one.values[at] = (one.values[at] || 0) + valueOf(row);
    one.sum += Math.abs(valueOf(row));
  }
  return { times, series: [...series.values()].sort((a, b) => b.sum - a.sum).slice(0, MOST_SERIES) };
}

window.addEventListener("resize", () => {
  for (const container of document.querySelectorAll(".chart"))
    if (container.plot) container.plot.setSize({ width: Math.max(260, container.clientWidth), height: 240 });
});
