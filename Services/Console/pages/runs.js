// Runs: replays, heals and table runs, how far they are and what they changed.

import { h, put } from "/console/dom.js";
import { get, path, post } from "/console/api.js";
import { count, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, command, confirmDanger, empty, errorPlace, factList, growing, liveTable, pageHead, progress,
  section, select } from "/console/ui.js";

export async function render(root, context) {
  return context.rest[0] ? run(root, context, context.rest[0]) : list(root, context);
}

async function list(root, { signal, query }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const states = ["queued", "running", "succeeded", "failed", "cancelled", "timed_out"];
  const state = select([["", "All states"], ...states.map((one) => [one, one.replaceAll("_", " ")])],
    query.get("state") || "",
    { "aria-label": "State", onchange: () => refresh() });
  const table = liveTable("Runs, newest first", [
    { title: "Run", isName: true, key: (item) => item.id, node: (item) => h("a", { href: `#/runs/${item.id}` },
      item.id) },
    { title: "Kind", text: (item) => item.kind + (item.dry_run ? ", dry" : "") },
    { title: "Pipeline", text: (item) => item.pipeline },
    { title: "State", key: (item) => item.state, node: (item) => badge(item.state) },
    { title: "Progress", key: (item) => `${item.progress.done}/${item.progress.total}`,
      node: (item) => progress(item.progress.done, item.progress.total, `Progress of run ${item.id}`) },
    { title: "Stored", numeric: true, text: (item) => count(item.records.stored) },
    { title: "Quarantined", numeric: true, text: (item) => count(item.records.quarantined) },
    { title: "Made", isWhole: true, text: (item) => time(item.created_at) },
  ], (item) => item.id);
  put(root, pageHead("Runs", "Replays, heals, and pipelines over datasets.", state), problem, place);
  const list = growing("/v1/runs", () => ({ state: state.value || null }), signal, () => refresh());
  const refresh = repeat(async () => {
    const items = await list.load();
    table.update(items);
    if (!items.length) put(place, empty(state.value ? "No run is in this state" : "No runs yet",
      "A pipeline can be replayed over all that is kept of its source:",
      command(`curl -X POST -H "Authorization: Bearer $KEY" "${location.origin}/v1/pipelines/sales/replay" \\\n`
        + "     -H 'Content-Type: application/json' \\\n"
        + "     -d '{\"from\": \"2026-03-01T00:00:00Z\", \"to\": \"2026-03-02T00:00:00Z\"}'")));
    else if (!place.contains(table)) put(place, table, list.more);
  }, 2000, signal, problem.show);
}

async function run(root, { signal }, id) {
  const problem = errorPlace();
  const body = h("div", { class: "tabpanel" });
  const cancel = h("button", { type: "button", class: "danger", hidden: true, onclick: stop }, "Cancel…");
  put(root, pageHead(`Run ${id}`, null, h("a", { class: "button", href: "#/runs" }, "All runs"), cancel), problem,
    body);

  async function stop() {
    if (!await confirmDanger(`Cancel run ${id}?`, "Nothing more is replaced by it; what was replaced stays.",
      "Cancel the run")) return;
    try {
      await post(path`/v1/runs/${id}/cancel`, undefined);
      refresh();
    } catch (error) {
      problem.show(error);
    }
  }

  let last = "";
  const refresh = repeat(async () => {
    const item = await get(path`/v1/runs/${id}`, {}, signal);
    cancel.hidden = !["queued", "running"].includes(item.state);
    const text = JSON.stringify(item);
    if (text === last) return;
    last = text;
    const facts = [
      ["State", badge(item.state)], ["Kind", item.kind + (item.dry_run ? ", dry" : "")],
      ["Pipeline", h("a", { href: `#/pipelines/${encodeURIComponent(item.pipeline)}` },
        `${item.pipeline}, version ${item.version}`)],
      ["Batches", `${count(item.batches.done)} of ${count(item.batches.total)}`],
      ["Failed batches", count(item.batches.failed)],
      ["Rows stored", count(item.records.stored)], ["Filtered", count(item.records.filtered)],
      ["Quarantined", count(item.records.quarantined)], ["Duplicates", count(item.records.duplicates)],
      ["Made", time(item.created_at)], ["Begun", time(item.started_at)], ["Ended", time(item.finished_at)],
    ];
    put(body, section("Progress", progress(item.progress.done, item.progress.total, `Progress of run ${id}`),
      factList(facts),
      item.error ? h("p", { class: "error" }, item.error) : null),
    item.changes ? section("What it would change", h("p", {}, changes(item.changes))) : null,
    item.errors.length ? section("Errors",
      h("ul", {}, item.errors.map((error) => h("li", {}, `Batch ${error.batch}: ${error.message}`)))) : null,
    section("Request", h("pre", { tabindex: "0", "aria-label": "Request" }, JSON.stringify(item.request, null, 2))));
  }, 1000, signal, problem.show);
}

function changes({ added, removed, changed, complete }) {
  const counts = `${count(added)} rows added, ${count(removed)} removed, ${count(changed)} changed`;
  return `${counts}${complete ? "" : ", so far"}.`;
}
