// Pipelines: their steps, their versions, and what they would make of records.

import { h, put } from "/console/dom.js";
import { all, get, path, post } from "/console/api.js";
import { plural, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { command, confirmDanger, empty, errorPlace, factList, field, liveTable, pageHead, section,
  tabs } from "/console/ui.js";
import { resultTable, tableOf } from "/console/charts.js";

export async function render(root, context) {
  return context.rest[0] ? pipeline(root, context, context.rest[0]) : list(root, context);
}

function nextStep() {
  const body = { source: "orders", steps: [{ cast: { total: "numeric" } }, { filter: "total > 0" }],
    target: { dataset: "sales", mode: "append" } };
  return empty("No pipeline yet",
    "Records of a source that no pipeline reads go to a dataset of its name. A pipeline says otherwise:",
    command(`curl -X PUT -H "Authorization: Bearer $KEY" "${location.origin}/v1/pipelines/sales" \\\n`
      + `     -H 'Content-Type: application/json' \\\n     -d '${JSON.stringify(body)}'`));
}

function sourceOf(definition) {
  return typeof definition.source === "string" ? definition.source : `dataset ${definition.source?.dataset ?? ""}`;
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Pipelines", [
    { title: "Pipeline", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/pipelines/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Reads", text: (item) => sourceOf(item.definition) },
    { title: "Fills", text: (item) => item.definition.target?.dataset ?? "" },
    { title: "Steps", numeric: true, text: (item) => (item.definition.steps || []).length },
    { title: "Version", numeric: true, text: (item) => (item.implicit ? "implicit" : item.version) },
    { title: "Changed", text: (item) => time(item.updated_at) },
  ], (item) => item.name);
  put(root, pageHead("Pipelines", "Ordered steps that turn records into rows."), problem, place);
  repeat(async () => {
    const items = await all("/v1/pipelines", {}, signal);
    table.update(items);
    if (!items.length) put(place, nextStep());
    else if (!place.contains(table)) put(place, table);
  }, 8000, signal, problem.show);
}

function steps(definition) {
  const found = definition.steps || [];
  if (!found.length) return h("p", { class: "about" }, "No steps: records are stored as they come.");
  return h("ol", { class: "steps" }, found.map((step) => h("li", {},
    h("div", {}, Object.entries(step).map(([kind, what]) => [
    h("h3", {}, kind), h("pre", { class: "wrap" }, typeof what === "string" ? what : JSON.stringify(what, null,
      2))])))));
}

async function pipeline(root, { signal }, name) {
  const item = await get(path`/v1/pipelines/${name}`, {}, signal);
  const problem = errorPlace();
  const isTable = typeof item.definition.source !== "string";
  const run = h("button", { type: "button", onclick: start }, "Run");

  async function start() {
    const agreed = await confirmDanger(`Run ${name}?`,
      `It reads all of ${sourceOf(item.definition)} and fills ${item.definition.target.dataset}.`, "Run");
    if (!agreed) return;
    try {
      const answer = await post(path`/v1/pipelines/${name}/run`, {});
      location.hash = `#/runs/${answer.run}`;
    } catch (error) {
      problem.show(error);
    }
  }

  const facts = [
    ["Reads", sourceOf(item.definition)], ["Fills", item.definition.target?.dataset ?? ""],
    ["Mode", item.definition.target?.mode ?? "append"], ["On error", item.definition.on_error ?? "quarantine"],
    ["Version", item.implicit ? "implicit" : item.version], ["Changed", time(item.updated_at)],
  ];
  put(root,
    pageHead(name, "A pipeline.", h("a", { class: "button", href: "#/pipelines" }, "All pipelines"), isTable && run),
      problem,
    tabs("Pipeline", [
      ["steps", "Steps", () => section("Steps", factList(facts), steps(item.definition))],
      ["dry-run", "Dry run", () => dryRun(name, item.definition)],
      ["versions", "Versions", () => versions(name, signal)],
      ["definition", "Definition", () => section("Definition", h("pre", { tabindex: "0", "aria-label": "Definition" },
        JSON.stringify(item.definition, null, 2)))],
    ], "steps"));
}

function versions(name, signal) {
  const place = h("div", {});
  const problem = errorPlace();
  all(path`/v1/pipelines/${name}/versions`, {}, signal, 100).then((items) => put(place,
    items.map((item) => h("details", { class: "panel" },
    h("summary", {}, `Version ${item.version}, ${time(item.created_at)}`),
    h("pre", { tabindex: "0", "aria-label": `Version ${item.version}` }, JSON.stringify(item.definition, null, 2))))),
      problem.show);
  return h("div", { class: "tabpanel" }, problem, place);
}

/** Pasted text as records: an array, NDJSON, or lines of text. */
function recordsOf(text) {
  const trimmed = text.trim();
  if (!trimmed) return [];
  try {
    const whole = JSON.parse(trimmed);
    return Array.isArray(whole) ? whole : [whole];
  } catch {
    const lines = trimmed.split("\n").filter((one) => one.trim());
    try {
      return lines.map((one) => JSON.parse(one));
    } catch {
      return lines;
    }
  }
}

function dryRun(name, definition) {
  const text = h("textarea", { spellcheck: "false", rows: "8" });
  const problem = errorPlace();
  const outcome = h("div", { class: "tabpanel", "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "primary" }, "Run dry");

  async function run(event) {
    event.preventDefault();
    button.disabled = true;
    problem.show(null);
    try {
      put(outcome, results(await post(path`/v1/pipelines/${name}/dry-run`, { records: recordsOf(text.value) }),
        definition));
    } catch (error) {
      put(outcome);
      problem.show(error);
    } finally {
      button.disabled = false;
    }
  }

  return h("div", { class: "tabpanel" }, section("Dry run",
    h("form", { class: "tabpanel", onsubmit: run },
      field("Records", text, "JSON records, one a line or as an array; or lines of text. Nothing is stored."),
      h("div", { class: "actions" }, button)), problem), outcome);
}

function results(found, definition) {
  const rows = (title, items) => section(`${title}: ${plural(items.length, "row")}`,
    items.length ? resultTable(title, tableOf(items)) : h("p", { class: "about" }, "No rows."));
  const lines = (title, items) => (items.length ? section(`${title}: ${plural(items.length, "record")}`,
    h("pre", { class: "wrap" }, items.map((item) => JSON.stringify(item)).join("\n"))) : null);
  return [
    found.failed ? h("p", { class: "error" },
      `The whole batch would be turned down: ${found.failed.message} (${found.failed.code})`) : null,
    rows(definition.target?.dataset ?? "Rows", found.rows),
    found.routed.map((branch) => rows(`${branch.dataset}, by route`, branch.rows)),
    lines("Filtered", found.filtered), lines("Duplicates", found.duplicates),
    found.quarantined.length ? section(`Quarantined: ${plural(found.quarantined.length, "record")}`,
      found.quarantined.map((item) => h("article", { class: "record" },
        h("ul", {}, item.errors.map((error) => h("li", {}, h("strong", {}, String(error.code).replaceAll("_", " ")),
          error.step ? ` at ${error.step}` : "", error.column ? ` in ${error.column}` : "", ": ", error.message))),
        h("pre", { class: "wrap" }, JSON.stringify(item.raw))))) : null,
  ];
}
