// Sources, their receipts and batches.

import { h, put } from "/console/dom.js";
import { all, get, path } from "/console/api.js";
import { ago, bytes, count, duration, short, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, command, empty, errorPlace, factList, fillFacts, growing, liveTable, pageHead,
  section } from "/console/ui.js";

/** What to do where nothing has been sent yet. */
export function firstSteps() {
  return empty("Send a first record",
    "Nobody has to declare anything: a source is made by its first record, and a dataset of its name with it.",
    sending("orders"));
}

/** How to send a record, with this server's own address. */
function sending(source) {
  const target = `${location.origin}/v1/ingest/${source}?wait=stored`;
  return command(`curl -H "Authorization: Bearer $KEY" "${target}" \\\n`
      + "     -H 'Content-Type: application/x-ndjson' \\\n"
      + `     --data '{"id": 1, "customer": "ada", "total": 12.5, "at": "2026-03-01T10:00:00Z"}'`);
}

export async function render(root, context) {
  if (context.rest[0] === "receipts") return receipt(root, context, context.rest[1]);
  return context.rest[0] ? source(root, context, context.rest[0]) : list(root, context);
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Sources", [
    { title: "Source", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/sources/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Settings", text: (item) => (item.declared ? `declared, version ${item.version}`
      : "made by its first record") },
    { title: "Made", isWhole: true, text: (item) => time(item.created_at) },
  ], (item) => item.name);
  put(root, pageHead("Sources", "Named streams that records are sent to.", receiptSearch()), problem, place);
  repeat(async () => {
    const items = await all("/v1/sources", {}, signal);
    table.update(items);
    if (!items.length) put(place, firstSteps());
    else if (!place.contains(table)) put(place, table);
  }, 5000, signal, problem.show);
}

function receiptSearch() {
  const input = h("input", { type: "search", "aria-label": "Receipt id", placeholder: "Receipt id", required: true });
  return h("form", {
    class: "actions",
    onsubmit: (event) => {
      event.preventDefault();
      location.hash = `#/sources/receipts/${encodeURIComponent(input.value.trim())}`;
    },
  }, input, h("button", { type: "submit" }, "Find receipt"));
}

async function source(root, { signal }, name) {
  const problem = errorPlace();
  const facts = factList([]);
  const batches = liveTable(`Batches of ${name}, newest first`, [
    { title: "Batch", isName: true, text: (item) => item.id },
    { title: "State", key: (item) => item.state, node: (item) => badge(item.state) },
    { title: "Format", text: (item) => item.format },
    { title: "Records", numeric: true, text: (item) => count(item.records) },
    { title: "Bytes", numeric: true, text: (item) => bytes(item.raw_bytes) },
    { title: "Requests", numeric: true, text: (item) => count(item.requests) },
    { title: "Received", isWhole: true, text: (item) => time(item.received_at) },
    { title: "Raw", key: (item) => item.raw_available, node: (item) => (item.raw_available
      ? h("a", { href: path`/v1/batches/${item.id}/raw`, target: "_blank", rel: "noopener" }, "open",
        h("span", { class: "unseen" }, ` the raw records of batch ${item.id} in a new tab`))
      : "expired") },
  ], (item) => item.id);
  const list = growing("/v1/batches", () => ({ source: name }), signal, () => refresh());
  const place = h("div", { class: "tabpanel" }, batches, list.more);
  put(root,
    pageHead(name, "A source.", h("a", { class: "button", href: "#/sources" }, "All sources"), receiptSearch()),
    problem, section("Now", facts), section("Batches", place), section("Send records", sending(name)));
  const refresh = repeat(async () => {
    const item = await get(path`/v1/sources/${name}`, {}, signal);
    const entries = [
      ["Records a second", short(item.rates.records_per_second)], ["Rows stored a second",
        short(item.rates.stored_per_second)],
      ["Bytes a second", bytes(Math.round(item.rates.bytes_per_second))], ["Lag", duration(item.lag_seconds)],
      ["Raw kept", item.retention.raw], ["Largest body", bytes(item.limits.max_body_bytes)],
      ["Longest lag allowed", item.limits.max_lag], ["Waits for others", item.coalescing.linger],
    ];
    fillFacts(facts, entries);
    batches.update(await list.load());
  }, 4000, signal, problem.show);
}

async function receipt(root, { signal }, id) {
  const problem = errorPlace();
  const body = h("div", { class: "page" });
  put(root, pageHead("Receipt", id, h("a", { class: "button", href: "#/sources" }, "All sources"), receiptSearch()),
    problem, body);
  let isDone = false;
  repeat(async () => {
    if (isDone) return;
    const item = await get(path`/v1/receipts/${id}`, {}, signal);
    isDone = item.state === "stored" || item.state === "failed";
    const outputs = liveTable("What each pipeline made of it", [
      { title: "Pipeline", isName: true, text: (one) => one.pipeline },
      { title: "Version", numeric: true, text: (one) => one.version ?? "–" },
      { title: "Dataset", text: (one) => one.dataset ?? "–" },
      { title: "State", key: (one) => one.state, node: (one) => badge(one.state) },
      { title: "Stored", numeric: true, text: (one) => count(one.stored) },
      { title: "Filtered", numeric: true, text: (one) => count(one.filtered) },
      { title: "Quarantined", numeric: true, text: (one) => count(one.quarantined) },
      { title: "Error", text: (one) => one.error ?? "" },
    ], (one) => `${one.pipeline} ${one.dataset}`);
    outputs.update(item.outputs);
    put(body, section("Receipt",
      factList([
        ["State", badge(item.state)], ["Source", h("a", { href: `#/sources/${encodeURIComponent(item.source)}` },
          item.source)],
        ["Received", `${count(item.received)} records, ${ago(item.received_at)}`], ["Stored", count(item.stored)],
        ["Quarantined", count(item.quarantined)], ["Filtered", count(item.filtered)],
          ["Duplicates", count(item.duplicates)],
        ["Stored at", time(item.stored_at)],
      ]), outputs));
  }, 1500, signal, problem.show);
}
