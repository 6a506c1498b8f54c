// Pipelines: their steps, their versions, and what they would make of records.

import { h, put } from "/console/dom.js";
import { all, get, path, post } from "/console/api.js";
import { time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { command, confirmDanger, empty, errorPlace, factList, liveTable, pageHead, section,
  tabs } from "/console/ui.js";
import { dryRun } from "/console/pages/dry-run.js";

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
    { title: "Changed", isWhole: true, text: (item) => time(item.updated_at) },
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
