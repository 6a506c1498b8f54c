// Rollups: aggregates that are kept up to date, how far they are filled, and what they say.

import { h, put } from "/console/dom.js";
import { all, get, path, send } from "/console/api.js";
import { ago, count, plural, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, command, confirmDanger, empty, errorPlace, factList, liveTable, pageHead, progress,
  section } from "/console/ui.js";
import { resultTable, tableOf } from "/console/charts.js";

export async function render(root, context) {
  return context.rest[0] ? rollup(root, context, context.rest[0]) : list(root, context);
}

/** A rollup's state. One that is ready is filled: "ready" says of a job that it waits. */
function state(item) {
  return badge(item.state === "ready" ? "filled" : item.state);
}

function filling(item) {
  return h("span", { class: "filling" }, progress(item.progress, 1, `Progress of ${item.name}`),
    `${Math.floor(item.progress * 100)} %`);
}

/** Counted up to a limit by the service. */
function waiting(item) {
  return count(item.waiting_batches) + (item.waiting_batches >= 10000 ? "+" : "");
}

function nextStep() {
  const body = { dataset: "orders", time: { column: "at", grain: "hour" }, dimensions: ["customer"],
    measures: { orders: "count()", revenue: "sum(total)" } };
  return empty("No rollup yet", "A rollup keeps counts and sums of a dataset by time, whatever comes in:",
    command(`curl -X PUT -H "Authorization: Bearer $KEY" "${location.origin}/v1/rollups/orders_by_hour" \\\n`
      + `     -H 'Content-Type: application/json' \\\n     -d '${JSON.stringify(body)}'`));
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Rollups", [
    { title: "Rollup", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/rollups/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Dataset", key: (item) => item.dataset,
      node: (item) => h("a", { href: `#/datasets/${encodeURIComponent(item.dataset)}` }, item.dataset) },
    { title: "By", text: (item) => [item.time.grain, ...item.dimensions].join(", ") },
    { title: "State", key: (item) => item.state, node: state },
    { title: "Filled", key: (item) => item.progress, node: filling },
    { title: "Batches that wait", numeric: true, text: waiting },
    { title: "Up to date", text: (item) => ago(item.applied_at) },
  ], (item) => item.name);
  put(root, pageHead("Rollups", "Aggregates that are kept up to date as batches are stored."), problem, place);
  repeat(async () => {
    const items = await all("/v1/rollups", {}, signal);
    table.update(items);
    if (!items.length) put(place, nextStep());
    else if (!place.contains(table)) put(place, table);
  }, 2000, signal, problem.show);
}

async function rollup(root, { signal }, name) {
  const problem = errorPlace();
  const body = h("div", { class: "tabpanel" });
  const rows = h("div", {});

  async function remove() {
    if (!await confirmDanger(`Delete ${name}?`, "What it has counted goes, the dataset stays.", "Delete the rollup",
      name)) return;
    try {
      await send("DELETE", path`/v1/rollups/${name}`);
      location.hash = "#/rollups";
    } catch (error) {
      problem.show(error);
    }
  }

  put(root, pageHead(name, "A rollup.", h("a", { class: "button", href: "#/rollups" }, "All rollups"),
    h("button", { type: "button", class: "danger", onclick: remove }, "Delete…")), problem, body, rows);
  let last = "";
  let shown = "";
  repeat(async () => {
    const item = await get(path`/v1/rollups/${name}`, {}, signal);
    const text = JSON.stringify(item);
    if (text !== last) put(body, about(item));
    last = text;
    if (item.state === "ready" && item.applied_at !== shown) {
      const query = { order: "time.desc", limit: 100, numbers: "string" };
      const found = await get(path`/v1/rollups/${name}/data`, query, signal);
      put(rows, section("Latest", found.items.length ? resultTable(`Latest of ${name}`, tableOf(found.items, true))
        : h("p", { class: "about" }, "Nothing has been counted yet."),
      found.truncated ? h("p", { class: "about" }, `The latest ${plural(found.row_count, "row")}.`) : null));
      shown = item.applied_at;
    }
  }, 2000, signal, problem.show);
}

function about(item) {
  const measures = Object.entries(item.measures).map(([name, what]) => h("li", {}, h("code", {}, `${name}: ${what}`)));
  return [
    section("Progress", filling(item), factList([
      ["State", state(item)], ["Batches that wait", waiting(item)], ["Up to date", time(item.applied_at)],
      ["Dataset", h("a", { href: `#/datasets/${encodeURIComponent(item.dataset)}` }, item.dataset)],
      ["Version", item.version], ["Changed", time(item.updated_at)],
    ]), item.reason ? h("p", { class: "error" }, item.reason) : null),
    section("Definition", factList([
      ["Time", `${item.time.column}, by ${item.time.grain}`], ["Dimensions", item.dimensions.join(", ") || "none"],
      ["Measures", h("ul", { class: "plainlist" }, measures)],
    ])),
  ];
}
