// Datasets: what they are made of, what is in them, and where each row comes from.

import { h, put, svg } from "/console/dom.js";
import { all, get, path, send } from "/console/api.js";
import { ago, bytes, count, short, time, value } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, confirmDanger, errorPlace, factList, field, liveTable, pageHead, section, tabs,
  working } from "/console/ui.js";
import { cell } from "/console/charts.js";
import { firstSteps } from "/console/pages/sources.js";
import { quarantineOf } from "/console/pages/quarantine.js";

export async function render(root, context) {
  return context.rest[0] ? dataset(root, context, context.rest[0], context.rest[1]) : list(root, context);
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Datasets", [
    { title: "Dataset", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/datasets/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Columns", text: (item) => (item.declared ? `declared, version ${item.version}` : "inferred") },
    { title: "Rows, about", numeric: true, text: (item) => count(item.rows) },
    { title: "Size", numeric: true, text: (item) => bytes(item.bytes) },
    { title: "Last load", text: (item) => ago(item.last_load_at) },
    { title: "Made", isWhole: true, text: (item) => time(item.created_at) },
  ], (item) => item.name);
  put(root, pageHead("Datasets", "Typed tables, filled by pipelines."), problem, place);
  repeat(async () => {
    const items = await all("/v1/datasets", {}, signal);
    table.update(items);
    if (!items.length) put(place, firstSteps());
    else if (!place.contains(table)) put(place, table);
  }, 5000, signal, problem.show);
}

async function dataset(root, { signal }, name, tab) {
  const item = await get(path`/v1/datasets/${name}`, {}, signal);
  const base = `#/datasets/${encodeURIComponent(name)}`;
  put(root,
    pageHead(name, `${count(item.rows)}${item.rows_exact ? "" : " (estimated)"} rows, ${bytes(item.bytes)}`,
      h("a", { class: "button", href: `#/query?dataset=${encodeURIComponent(name)}` }, "Query"),
      h("button", { type: "button", class: "danger", onclick: () => remove(name) }, "Delete…")),
    tabs("Dataset", [
      ["rows", "Rows", () => rows(item, signal)], ["schema", "Schema", () => schema(item)],
      ["profile", "Profile", () => profile(name, signal)],
      ["quarantine", "Quarantine", () => quarantineOf(name, signal)],
    ], tab || "rows", (id) => history.replaceState(null, "", `${base}/${id}`)));
}

async function remove(name) {
  const agreed = await confirmDanger(`Delete ${name}?`,
    "All its rows go, for good. Raw records that are still kept could fill it again.", "Delete the dataset", name);
  if (!agreed) return;
  const problem = errorPlace();
  document.querySelector(".head").after(problem);
  try {
    await send("DELETE", path`/v1/datasets/${name}`, { query: { confirm: name } });
    location.hash = "#/datasets";
  } catch (error) {
    problem.show(error);
  }
}

function schema(item) {
  const table = liveTable("Columns", [
    { title: "Column", isName: true, mono: true, text: (column) => column.name },
    { title: "Type", mono: true, text: (column) => column.type },
    { title: "Nullable", text: (column) => (column.nullable ? "yes" : "no") },
    { title: "Collation", text: (column) => column.collation ?? "" },
    { title: "From", text: (column) => (column.declared ? "declared" : "inferred") },
    { title: "State", text: (column) => column.state },
  ], (column) => column.name);
  table.update(item.columns);
  const facts = [
    ["Primary key", item.primary_key.join(", ") || "none"], ["Version column", item.version_column ?? "none"],
    ["Time column", item.time_column ?? "none"], ["Partition", item.partition ?? "none"],
    ["Retention", item.retention ?? "for ever"], ["New columns", item.on_new_column],
    ["Values of another type", item.on_type_mismatch], ["Version", item.version],
    ["Last load", time(item.last_load_at)],
    ["Time span", item.time_span ? `${time(item.time_span.from)} to ${time(item.time_span.to)}` : "–"],
  ];
  return section("Schema",
    factList(facts),
      table);
}

function rows(item, signal) {
  const problem = errorPlace();
  const columns = item.columns.filter((column) => column.state === "applied").map((column) => column.name);
  const where = h("input", { type: "text", class: "mono", spellcheck: "false", autocomplete: "off" });
  const order = h("input", { type: "text", class: "mono", spellcheck: "false", autocomplete: "off" });
  const body = h("tbody");
  const head = h("tr");
  const more = h("button", { type: "button", hidden: true, onclick: () => load(false) }, "Show more rows");
  const about = h("p", { class: "about", role: "status" });
  const lineage = h("div", { role: "region", "aria-label": "Lineage" });
  const progress = h("div", {});
  let reading = null;
  let cursor = null;
  let shown = 0;
  const numbers = new Set(item.columns.filter((column) => ["int8", "float8", "numeric"].includes(column.type)).map(
    (column) => column.name));
  const isNumber = (key) => numbers.has(key);

  const downloads = [["csv", "CSV"], ["ndjson", "NDJSON"]].map(([format, title]) => [format, h("a",
    { class: "button", download: `${item.name}.${format}` }, title,
    h("span", { class: "unseen" }, ` of all rows that meet the condition`))]);

  async function load(isNew) {
    if (isNew) {
      cursor = null;
      shown = 0;
      more.hidden = true;
      put(body);
      for (const [format, link] of downloads) {
        link.href = path`/v1/datasets/${item.name}/export?`
          + new URLSearchParams({ format, ...(where.value && { where: where.value }) });
      }
    }
    // What was asked for before is not wanted any more, or it is this very page.
    reading?.stop();
    const mine = working(progress, "Reading rows …", signal);
    reading = mine;
    problem.show(null);
    try {
      const page = await get(path`/v1/datasets/${item.name}/rows`,
        { limit: 100, cursor, where: where.value || null, order: order.value || null, numbers: "string" }, mine.signal);
      cursor = page.next_cursor;
      shown += page.items.length;
      const names = page.items.length ? Object.keys(page.items[0]).filter((key) => !["_batch", "_row",
        "_out"].includes(key)) : columns;
      if (isNew) put(head, h("th", { scope: "col" }, h("span", { class: "unseen" }, "Lineage")),
        names.map((key) => h("th", { scope: "col", class: isNumber(key) ? "number" : null }, key)));
      for (const row of page.items) body.append(line(row, names));
      put(about, shown ? `${count(shown)} rows shown${cursor ? "" : ", that is all"}.` : "No rows.");
      more.hidden = !cursor;
    } catch (error) {
      if (!mine.signal.aborted) problem.show(error);
      else if (reading === mine) put(about, "Stopped.");
    } finally {
      mine.end();
    }
  }

  function line(row, names) {
    return h("tr", {},
      h("td", {}, h("button", { type: "button", class: "small", onclick: () => trace(row) }, "Trace",
        h("span", { class: "unseen" }, ` row ${row._row} of batch ${row._batch}`))),
      names.map((key) => cell(row[key], isNumber(key))));
  }

  async function trace(row) {
    try {
      const found = await get(path`/v1/datasets/${item.name}/lineage`, { batch: row._batch, row: row._row }, signal);
      put(lineage, origin(found.items, row));
      const heading = lineage.querySelector("h2");
      heading.tabIndex = -1;
      heading.focus();
      heading.scrollIntoView({ block: "start" });
    } catch (error) {
      if (error.name !== "AbortError") problem.show(error);
    }
  }

  const form = h("form", { class: "fields", onsubmit: (event) => { event.preventDefault(); load(true); } },
    field("Where", where, "A condition, as total > 10"), field("Order", order, "Columns, as at.desc"),
    h("button", { type: "submit" }, "Show"));
  load(true);
  return h("div", { class: "tabpanel" }, section("Rows", form, problem, progress,
    h("div", { class: "scroll result", tabindex: "0", role: "group", "aria-label": `Rows of ${item.name}` },
      h("table", {}, h("caption", { class: "unseen" }, `Rows of ${item.name}`), h("thead", {}, head), body)),
    h("div", { class: "actions" }, about, h("span", { class: "about" }, "Download all:"),
      downloads.map(([, link]) => link)), h("div", { class: "more" }, more)), lineage);
}

function origin(items, row) {
  if (!items.length) return section("Lineage", h("p", {}, "Nothing is known of this row."));
  return section(`Row ${row._row} of batch ${row._batch}`, items.map((item) => h("div", { class: "tabpanel" },
    factList([
      ["Source", h("a", { href: `#/sources/${encodeURIComponent(item.source)}` }, item.source)],
      ["Pipeline", h("a", { href: `#/pipelines/${encodeURIComponent(item.pipeline)}` },
        `${item.pipeline}, version ${item.version ?? "–"}`)],
      ["Receipt", h("a", { href: `#/sources/receipts/${encodeURIComponent(item.receipt)}` }, item.receipt)],
      ["Request", item.request], ["Received", time(item.received_at)], ["Stored", time(item.stored_at)],
      ["Output", item.output], ["State", badge(item.state)],
    ]),
    h("h3", {}, "Raw record"),
    item.raw === null || item.raw === undefined
      ? h("p", { class: "about" }, item.raw_expired_at ? `Its raw bytes expired at ${time(item.raw_expired_at)}.`
        : "This key may not see raw records (scope raw:read).")
      : h("pre", { class: "wrap", tabindex: "0", "aria-label": "Raw record" }, item.raw))));
}

/** What the platform knows of each column's values. */
function profile(name, signal) {
  const place = h("div", { class: "tabpanel" });

  async function look() {
    const mine = working(place, "Looking at the rows …", signal);
    try {
      put(place, profileTable(await get(path`/v1/profiles/${name}`, {}, mine.signal)));
    } catch (error) {
      const problem = errorPlace();
      if (!mine.signal.aborted) problem.show(error);
      put(place, problem, h("div", { class: "actions" }, h("button", { type: "button", onclick: look }, "Look again"),
        mine.signal.aborted ? h("span", { role: "status", class: "about" }, "Stopped.") : null));
    } finally {
      mine.end();
    }
  }

  look();
  return place;
}

function profileTable(found) {
  const table = liveTable("Profile of each column", [
    { title: "Column", isName: true, mono: true, text: (column) => column.name },
    { title: "Type", mono: true, text: (column) => column.type },
    { title: "Nulls", numeric: true, text: (column) => count(column.nulls) },
    { title: "Distinct", numeric: true, text: (column) => (column.distinct.exact ? "" : "about ")
      + count(column.distinct.count) },
    { title: "Distribution", key: (column) => column.name, node: (column) => histogram(column) },
    { title: "Most frequent", key: (column) => column.name, node: (column) => frequent(column.top) },
    { title: "Least", isWhole: true, text: (column) => figure(column.min) },
    { title: "Greatest", isWhole: true, text: (column) => figure(column.max) },
    { title: "Mean", numeric: true, text: (column) => figure(column.mean) },
    { title: "Deviation", numeric: true, text: (column) => figure(column.stddev) },
    { title: "Quantiles", key: (column) => column.name, node: (column) => quantiles(column.quantiles) },
  ], (column) => column.name);
  table.update(found.columns);
  const all = `${found.rows_estimated ? "about " : ""}${count(found.rows)}`;
  const scanned = found.sampled ? `a sample of ${count(found.rows_scanned)} rows, out of ${all}` : `all ${all} rows`;
  return h("div", { class: "tabpanel" },
    section("Profile", h("p", { class: "about" }, `Of ${scanned}, at ${time(found.at)}.`), table),
    found.correlations?.pairs.length ? correlations(found.correlations) : null);
}

function figure(item) {
  if (item === null || item === undefined) return "–";
  return typeof item === "number" ? short(item) : value(item).slice(0, 60);
}

const SHARES = [["p05", "5 %"], ["p50", "half"], ["p95", "95 %"]];

function quantiles(found) {
  return found ? h("ul", { class: "plainlist" },
    SHARES.map(([name, label]) => h("li", {}, `${label}: ${figure(found[name])}`))) : "–";
}

function frequent(top) {
  const items = top?.items ?? [];
  return h("ul", { class: "plainlist" }, items.slice(0, 5).map((one) =>
    h("li", {}, `${figure(one.value)}${one.truncated ? "…" : ""} `, h("span", { class: "about" },
      `(${count(one.count)})`))));
}

/** The bins as bars; their numbers are told to screen readers. */
function histogram(column) {
  const bins = column.histogram ?? [];
  if (!bins.length) return "–";
  const top = Math.max(...bins.map((bin) => bin.count), 1);
  const told = `Distribution of ${column.name} from ${figure(bins[0].from)} to ${figure(bins.at(-1).to)}: `
    + bins.map((bin) => bin.count).join(", ");
  return svg("svg", { class: "bars", viewBox: `0 0 ${bins.length * 10} 40`, preserveAspectRatio: "none", role: "img",
    "aria-label": told },
    bins.map((bin, at) => svg("rect", { x: at * 10 + 1, width: 8, height: bin.count / top * 40,
      y: 40 - bin.count / top * 40 })));
}

/** The strongest first; a column that is constant has none. */
function correlations(found) {
  const pairs = found.pairs.filter((pair) => pair.r !== null).sort((one, other) => Math.abs(other.r) - Math.abs(one.r));
  const table = liveTable("Correlations, strongest first", [
    { title: "Columns", isName: true, mono: true, text: (pair) => `${pair.x}, ${pair.y}` },
    { title: "Pearson's r", numeric: true, text: (pair) => pair.r.toFixed(3) },
    { title: "Rows", numeric: true, text: (pair) => count(pair.rows) },
  ], (pair) => `${pair.x}\u0001${pair.y}`);
  table.update(pairs.slice(0, 30));
  return section("Correlations", pairs.length ? table : h("p", { class: "about" }, "No pair of columns varies."));
}
