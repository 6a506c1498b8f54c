// Charts by Chart.js, in the colours of the page, with the same numbers as a table for those who do not see them.

import { h, put } from "/console/dom.js";
import { count, short, time, value } from "/console/format.js";

let library = null;

async function load() {
  library ||= import("/console-libraries/chart.js/chart.mjs").then(({ Chart, registerables }) => {
    Chart.register(...registerables);
    return Chart;
  });
  return library;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
export const KINDS = [["line", "Line"], ["bar", "Bar"], ["area", "Area"], ["pie", "Pie"], ["number", "Number"],
  ["table", "Table"]];
const NUMBERS = new Set(["int2", "int4", "int8", "float4", "float8", "numeric", "oid"]);

const QUOTED = /^-?\d+(\.\d+)?$/;

/**
 * Columns and rows as a query answers them, of items as endpoints and rollups answer them; `areQuoted`: with numbers in
 * quotes, so that a text may be one.
 */
export function tableOf(items, areQuoted = false) {
  const isNumber = (one) => typeof one === "number" || (areQuoted && typeof one === "string" && QUOTED.test(one));
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const columns = names.map((name) => {
    const known = items.map((item) => item[name]).filter((one) => one !== null && one !== undefined);
    return { name, type: known.length && known.every(isNumber) ? "float8" : "text" };
  });
  return { columns, rows: items.map((item) => names.map((name) => item[name] ?? null)) };
}

/** Which columns to draw where nobody has said: the first as labels, all other numbers as values. */
export function usualColumns(columns, chosen = {}) {
  const names = columns.map((column) => column.name);
  const x = names.includes(chosen.x) ? chosen.x : (columns.find((column) => !NUMBERS.has(column.type))
    || columns[0])?.name;
  const wanted = (chosen.y || []).filter((name) => names.includes(name));
  const numbers = columns.filter((column) => NUMBERS.has(column.type) && column.name !== x).map((column) =>
    column.name);
  const y = wanted.length ? wanted : numbers;
  return { x, y: y.slice(0, 16), all: y.length };
}

/** Rows that are drawn of an answer. */
const MOST = 2000;

/** Series that columns of words make of one of values; the further ones are left out. */
const SERIES = 12;

/**
 * Rows of `time, status, hits` as a line for each status: where labels repeat, there is one column of values, and other
 * columns tell the rows of a label apart. Anything else stays as it is.
 */
function pivoted({ columns, rows }, { x, y }) {
  const place = (name) => columns.findIndex((column) => column.name === name);
  const others = columns.filter((column) => column.name !== x && !y.includes(column.name) && !NUMBERS.has(column.type));
  const labels = new Set(rows.map((row) => value(row[place(x)])));
  if (y.length !== 1 || !others.length || labels.size === rows.length) return { table: { columns, rows }, y };
  const [at, of] = [place(x), place(y[0])];
  const by = (row) => others.map((column) => value(row[place(column.name)])).join(", ");
  const names = [...new Set(rows.map(by))];
  const series = names.slice(0, SERIES);
  const found = new Map([...labels].map((one) => [one, []]));
  const places = new Map(series.map((name, index) => [name, index + 1]));
  for (const row of rows) {
    const index = places.get(by(row));
    if (index) found.get(value(row[at]))[index] = row[of];
  }
  for (const row of rows) found.get(value(row[at]))[0] = row[at];
  const type = columns[of].type;
  return {
    table: {
      columns: [columns[at], ...series.map((name) => ({ name: name === x ? `${name} ` : name, type }))],
      rows: [...found.values()].map((row) => Array.from({ length: series.length + 1 },
        (_, index) => row[index] ?? null)),
    },
    y: series.map((name) => (name === x ? `${name} ` : name)), all: names.length,
  };
}

/** What of the rows is not drawn, in words; null where all is. */
function left({ table, y, all, isTruncated }) {
  const parts = [];
  if (all > y.length) parts.push(`the first ${count(y.length)} of ${count(all)} series`);
  if (table.rows.length > MOST) parts.push(`the first ${count(MOST)} of ${count(table.rows.length)} rows`);
  if (!parts.length && !isTruncated) return null;
  return [parts.length ? `Only ${parts.join(" and ")} are drawn.` : "",
    isTruncated ? "The answer was cut: there are more rows." : ""].filter(Boolean).join(" ");
}

function label(item) {
  const text = value(item);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? time(text).replace(" 00:00:00", "") : text;
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** A value that stands alone: a number with separators where it loses nothing that is seen. */
function figure(item) {
  const number = Number(item);
  const isNumber = item !== null && item !== "" && typeof item !== "boolean" && Number.isFinite(number);
  return isNumber && Math.abs(number) < 2 ** 53 ? grouped.format(number) : label(item);
}

/** Draws a table as `kind` into `root`; `chart` says which columns: `{x, y}`. Returns what ends it. */
export async function draw(root, kind, found, chart = {}, title = "Chart") {
  const { columns, rows } = found;
  root.chart?.destroy();
  root.chart = null;
  if (!rows.length) {
    put(root, h("p", { class: "about" }, "No rows."));
    return;
  }
  const { x, y, all } = usualColumns(columns, chart);
  const at = Object.fromEntries(columns.map((column, index) => [column.name, index]));
  if (kind === "table") {
    root.classList.add("chart");
    put(root, resultTable(title, { columns, rows }),
      found.truncated && h("p", { class: "about cut" }, "The answer was cut: there are more rows."));
    return;
  }
  if (kind === "number") {
    const name = chart.y?.find((one) => one in at) || y[0] || columns[0].name;
    put(root, h("p", {}, h("span", { class: "big" }, figure(rows[0][at[name]])), " ", h("span", { class: "about" },
      name)));
    return;
  }
  if (!y.length) {
    put(root, h("p", { class: "about" }, "There is no column of numbers to draw."));
    return;
  }
  const Chart = await load();
  const drawn = { all, ...pivoted(found, { x, y }) };
  const { table, y: series } = drawn;
  const shown = table.rows.slice(0, MOST);
  const place = Object.fromEntries(table.columns.map((column, index) => [column.name, index]));
  const canvas = h("canvas", { role: "img",
    "aria-label": `${title}: ${series.join(", ")} by ${x}, ${shown.length} rows` });
  const cut = left({ ...drawn, isTruncated: found.truncated });
  root.classList.add("chart");
  put(root, h("div", { class: "canvas" }, canvas), cut && h("p", { class: "about cut" }, cut));
  const type = kind === "area" ? "line" : kind;
  root.chart = new Chart(canvas, {
    type,
    data: {
      labels: shown.map((row) => label(row[place[x]])),
      datasets: series.map((name, index) => dataset(kind, name, shown.map((row) => number(row[place[name]])), index)),
    },
    options: options(kind, series.length, shown.length),
  });
}

function number(item) {
  return item === null ? null : Number(item);
}

function dataset(kind, name, data, index) {
  const line = colour(COLOURS[index % COLOURS.length]);
  if (kind === "pie") {
    return { label: name, data, backgroundColor: data.map((_, at) => colour(COLOURS[at % COLOURS.length])),
      borderWidth: 1, borderColor: colour("--surface") };
  }
  const points = { pointRadius: data.length > 60 ? 0 : 2.5, pointHitRadius: 8, borderWidth: 2, tension: 0.15 };
  return {
    label: name, data, borderColor: line, backgroundColor: kind === "bar" ? line : `${line}2e`,
    fill: kind === "area", ...(kind === "bar" ? { maxBarThickness: 48, borderRadius: 3 } : points),
  };
}

/** Bars that each have a label, aslant where they would touch. */
const LABELLED = 20;

function options(kind, series, labels = Infinity) {
  const ink = colour("--muted");
  const shared = {
    responsive: true, maintainAspectRatio: false, animation: false, normalized: true,
    interaction: { mode: kind === "pie" ? "nearest" : "index", intersect: kind === "pie" },
    plugins: { legend: { display: series > 1 || kind === "pie", labels: { color: ink, boxWidth: 12 } } },
  };
  if (kind === "pie") return shared;
  const grid = { color: colour("--line"), drawBorder: false };
  const isLabelled = kind === "bar" && labels <= LABELLED;
  return {
    ...shared,
    scales: {
      x: { grid: { display: false, drawBorder: false }, ticks: { color: ink, maxRotation: isLabelled ? 60 : 0,
        autoSkip: !isLabelled, autoSkipPadding: 16 } },
      y: { beginAtZero: true, grid, ticks: { color: ink, callback: (tick) => short(tick) } },
    },
  };
}

/** A chart that is filled again and again without being made anew: `push(label, values)`. */
export async function liveChart(root, title, names, most) {
  const Chart = await load();
  const canvas = h("canvas", { role: "img", "aria-label": title });
  put(root, h("div", { class: "canvas" }, canvas));
  const chart = new Chart(canvas, {
    type: "line",
    data: { labels: [], datasets: names.map((name, index) => dataset("area", name, [], index)) },
    options: options("area", names.length),
  });
  for (const one of chart.data.datasets) Object.assign(one, { pointRadius: 0 });
  return {
    push(text, values) {
      chart.data.labels.push(text);
      values.forEach((item, at) => chart.data.datasets[at].data.push(item));
      if (chart.data.labels.length > most) {
        chart.data.labels.shift();
        for (const one of chart.data.datasets) one.data.shift();
      }
      chart.update("none");
    },
    end: () => chart.destroy(),
  };
}

/** Rows as a table. Long values are cut by style; the whole is in the cell. */
export function resultTable(caption, { columns, rows }) {
  return h("div", { class: "scroll result", tabindex: "0", role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", {
        scope: "col", class: NUMBERS.has(column.type) ? "number" : null, title: column.type,
      }, column.name)))),
      h("tbody", {}, rows.map((row) => h("tr", {},
        row.map((item, at) => cell(item, NUMBERS.has(columns[at].type))))))));
}

export function cell(item, isNumber) {
  const text = value(item);
  const inner = item === null || item === undefined ? h("span", { class: "null" }, text) : text;
  return h("td", { class: isNumber ? "number" : null, title: text.length > 40 ? text.slice(0, 2000) : null }, inner);
}
