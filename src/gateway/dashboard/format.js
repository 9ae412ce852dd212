"use strict";
// Elements and numbers. Whatever comes from data goes through textContent, so none of it is markup.

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

const PREFIXES = ["", "k", "M", "G", "T", "P"];

function shortNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(Number(value))) return "–";
  let number = Number(value);
  let step = 0;
  while (Math.abs(number) >= 10000 && step < PREFIXES.length - 1) {
    number /= 1000;
    step++;
  }
  const digits = Math.abs(number) >= 100 || Number.isInteger(number) ? 0 : Math.abs(number) >= 1 ? 2 : 4;
  return Number(number.toFixed(digits)) + PREFIXES[step];
}

function withUnit(value, unit) {
  if (unit === "ratio") return value === null ? "–" : shortNumber(100 * value) + " %";
  return shortNumber(value) + (unit ? " " + unit : "");
}

function ago(time) {
  if (!time) return "–";
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

function labelText(labels) {
  return Object.entries(labels || {}).map(([name, value]) => name + "=" + value).join(", ");
}

// columns: {title, value(row) -> text or node, number: right-aligned}
function table(caption, columns, rows) {
  return element("div", { class: "scroll" }, element("table", { "aria-label": caption },
    element("thead", null, element("tr", null, ...columns.map((column) =>
      element("th", { scope: "col", class: column.number ? "number" : null }, column.title)))),
    element("tbody", null, ...rows.map((row) => element("tr", null, ...columns.map((column) =>
      element("td", { class: column.number ? "number" : null }, column.value(row))))))));
}
