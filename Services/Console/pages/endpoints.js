// Endpoints: published queries, what they take, and what they answer.

import { h, put } from "/console/dom.js";
import { all, get, path, send } from "/console/api.js";
import { count, plural, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { command, confirmDanger, empty, errorPlace, factList, field, liveTable, pageHead,
  section, working } from "/console/ui.js";
import { resultTable, tableOf } from "/console/charts.js";

export async function render(root, context) {
  return context.rest[0] ? endpoint(root, context, context.rest[0]) : list(root, context);
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Endpoints", [
    { title: "Endpoint", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/endpoints/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Description", text: (item) => item.description ?? "" },
    { title: "Parameters", text: (item) => item.parameters.map((one) => one.name).join(", ") },
    { title: "Cache", text: (item) => item.cache_ttl }, { title: "Version", numeric: true,
      text: (item) => item.version },
    { title: "Changed", isWhole: true, text: (item) => time(item.updated_at) },
  ], (item) => item.name);
  put(root, pageHead("Endpoints", "Queries published under a path.", h("a", { class: "button", href: "#/query" },
    "New query")), problem, place);
  repeat(async () => {
    const items = await all("/v1/endpoints", {}, signal);
    table.update(items);
    if (!items.length) put(place, empty("No endpoint yet", "Write a query, then save it as an endpoint.",
      h("a", { href: "#/query" }, "Go to the query page")));
    else if (!place.contains(table)) put(place, table);
  }, 8000, signal, problem.show);
}

async function endpoint(root, { signal }, name) {
  const item = await get(path`/v1/endpoints/${name}`, {}, signal);
  const problem = errorPlace();
  const outcome = h("div", { "aria-live": "polite" });
  const progress = h("div", {});
  let calling = null;
  const inputs = item.parameters.map((one) => [one, h("input", {
    type: "text", required: one.required, autocomplete: "off", spellcheck: "false",
    placeholder: one.required ? "" : String(one.default ?? "null"),
  })]);

  async function call(event) {
    event.preventDefault();
    problem.show(null);
    calling?.stop();
    const mine = working(progress, "Calling …", signal);
    calling = mine;
    try {
      const query = Object.fromEntries(inputs.map(([one, input]) => [one.name, input.value || null]));
      const found = await get(path`/v1/endpoints/${name}/data`, { numbers: "string", ...query }, mine.signal);
      put(outcome, section(`${plural(found.row_count, "row")}${found.truncated ? ", and there are more" : ""}`,
        found.items.length ? resultTable("Answer", tableOf(found.items.slice(0, 1000), true))
          : h("p", { class: "about" }, "No rows.")));
    } catch (error) {
      if (!mine.signal.aborted) problem.show(error);
      else if (calling === mine) put(outcome, h("p", { class: "about" }, "Stopped."));
    } finally {
      mine.end();
    }
  }

  async function remove() {
    if (!await confirmDanger(`Delete ${name}?`, "Whoever calls it gets 404 from then on.", "Delete the endpoint",
      name)) return;
    try {
      await send("DELETE", path`/v1/endpoints/${name}`);
      location.hash = "#/endpoints";
    } catch (error) {
      problem.show(error);
    }
  }

  const target = `${location.origin}/v1/endpoints/${name}/data`;
  const given = item.parameters.filter((one) => one.required).map((one) => `${one.name}=…`).join("&");
  put(root,
    pageHead(name, item.description || "An endpoint.",
      h("a", { class: "button", href: `#/query?${new URLSearchParams({ sql: item.sql })}` }, "Open in query"),
      h("button", { type: "button", class: "danger", onclick: remove }, "Delete…")), problem,
    section("Call it", command(`curl -H "Authorization: Bearer $KEY" \\\n     "${target}${given && `?${given}`}"`),
      h("form", { class: "fields", onsubmit: call }, inputs.map(([one, input]) => field(one.name, input, one.type)),
        h("button", { type: "submit", class: "primary" }, "Call")), progress),
    outcome,
    section("Definition",
      factList([["Cache", item.cache_ttl], ["Timeout", item.timeout],
        ["Rows at most", count(item.limit)],
        ["Version", item.version], ["Changed", time(item.updated_at)]]),
      h("pre", { class: "wrap", tabindex: "0", "aria-label": "SQL" }, item.sql)));
}
