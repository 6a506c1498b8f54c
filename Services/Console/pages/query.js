// The query page: SQL, its result, a chart of it, and what it can become: an endpoint, or a chart of a dashboard.

import { h, put, announce } from "/console/dom.js";
import { Problem, path, send } from "/console/api.js";
import { count, plural } from "/console/format.js";
import { ask, errorPlace, field, pageHead, section, select, tabs, working } from "/console/ui.js";
import { KINDS, draw, resultTable, usualColumns } from "/console/charts.js";
import { editorPlace, schemaOf, sqlEditor } from "/console/editor.js";
import { saveChart } from "/console/pages/dashboards.js";

const DRAFT = "millrace-query";
/** Rows that are shown; a page with more of them is slow and nobody reads it. */
const SHOWN = 1000;

export async function render(root, { query, signal }) {
  const problem = errorPlace();
  const place = editorPlace();
  const result = h("div", { class: "tabpanel" });
  const status = h("p", { class: "about", role: "status" }, "Ctrl+Enter runs it, Ctrl+Space completes.");
  const runButton = h("button", { type: "button", class: "primary", onclick: () => run() }, "Run");
  const progress = h("div", {});
  const save = h("button", { type: "button", onclick: () => saveEndpoint(editor.text()) }, "Save as endpoint…");
  put(root, pageHead("Query", "One SELECT over the workspace's datasets."),
    section("Statement", place, h("div", { class: "actions" }, runButton, save, status), progress,
      problem), result);

  const schema = await schemaOf(signal);
  const given = query.get("dataset");
  const first = given || Object.keys(schema.tables)[0];
  const draft = sessionStorage.getItem(DRAFT);
  const text = given || !draft ? (first ? `select *\nfrom ${first}\nlimit 100` : "select now() as now") : draft;
  let running = null;
  const editor = await sqlEditor(place, {
    label: "SQL statement", text: query.get("sql") || text, run: () => run(), tables: schema.tables,
    changed: (value) => {
      sessionStorage.setItem(DRAFT, value);
      learn(value);
    },
  });
  const learn = (value) => schema.learn(value).catch((error) => {
    if (error.name !== "AbortError") problem.show(error);
  });
  learn(editor.text());

  async function run() {
    running?.stop();
    const mine = working(progress, "Running …", signal);
    running = mine;
    runButton.disabled = true;
    problem.show(null);
    status.textContent = "";
    const sql = editor.text();
    try {
      const found = (await send("POST", "/v1/query", {
        query: { numbers: "string" }, body: { sql, limit: 10000 }, signal: mine.signal })).data;
      const said = `${plural(found.row_count, "row")} in ${count(Math.round(found.elapsed_ms))} ms`
        + (found.truncated ? ", and there are more" : "") + (found.row_count > SHOWN
          ? `; the first ${count(SHOWN)} are shown` : "");
      status.textContent = said;
      put(result, show(found, sql));
    } catch (error) {
      if (mine.signal.aborted) {
        if (running === mine) status.textContent = "Stopped.";
      } else {
        status.textContent = "It failed.";
        const at = error instanceof Problem && error.position ? editor.fault(error.position) : null;
        const where = at ? `Line ${at.line}, column ${at.column}: ` : "";
        problem.show(error instanceof Problem ? where + error.message : error);
        put(result);
        editor.focus();
      }
    } finally {
      mine.end();
      if (running === mine) runButton.disabled = false;
    }
  }

  function show(found, sql) {
    const shown = { columns: found.columns, rows: found.rows.slice(0, SHOWN) };
    return section("Result", tabs("Result", [
      ["table", "Table", () => (found.rows.length ? resultTable("Result", shown) : h("p", { class: "about" },
        "No rows."))],
      ["chart", "Chart", () => chartOf(found, sql)],
    ], "table"));
  }

  if (query.get("run")) run();
}

/** A chart of a result, whose kind and columns are chosen. */
function chartOf(found, sql) {
  const usual = usualColumns(found.columns);
  const kind = select(KINDS.filter(([name]) => name !== "table"), "bar");
  const names = found.columns.map((column) => [column.name, column.name]);
  const x = select(names, usual.x);
  const y = select(names, usual.y[0] ?? usual.x);
  const all = usual.y.length > 1 ? h("option", { value: "", selected: true }, `All numbers (${usual.y.length})`) : null;
  if (all) y.prepend(all);
  const place = h("div", {});
  const chart = () => ({ x: x.value, y: y.value ? [y.value] : usual.y });
  const redraw = () => draw(place, kind.value, found, { x: x.value, y: y.value ? [y.value] : [] },
    "Chart of the result");
  for (const control of [kind, x, y]) control.addEventListener("change", redraw);
  redraw();
  return h("div", { class: "tabpanel" },
    h("div", { class: "fields" }, field("Type", kind), field("Labels", x), field("Values", y),
      h("button", { type: "button", onclick: () => saveChart({ type: kind.value, query: sql, ...chart() }) },
        "Add to dashboard…")),
    place);
}

/** Publishes a statement under a name; one that is taken is asked about first. */
async function saveEndpoint(sql) {
  const name = h("input", { type: "text", required: true, pattern: "[a-z][a-z0-9_]{0,47}", autocomplete: "off",
    spellcheck: "false" });
  const description = h("input", { type: "text", maxlength: "1000" });
  const ttl = select([["0s", "No caching"], ["10s", "10 seconds"], ["1m", "1 minute"], ["10m", "10 minutes"],
    ["1h", "1 hour"]], "0s");
  const replace = h("input", { type: "checkbox" });
  const replaceField = h("div", { hidden: true }, h("label", {}, replace, " Replace the endpoint of this name"));
  const saved = await ask({
    title: "Save as endpoint", action: "Save",
    text: "The statement is published under a path. "
      + "{{name:type}} in it stands for a parameter, {{name:type=10}} for one with a default.",
    fields: [field("Name", name, "Lower case letters, digits and _"), field("Description", description),
      field("Cache", ttl), replaceField],
    read: async () => {
      const headers = replace.checked ? {} : { "If-None-Match": "*" };
      try {
        const body = { sql, description: description.value || null, cache_ttl: ttl.value };
        return (await send("PUT", path`/v1/endpoints/${name.value}`, { body, headers })).data;
      } catch (error) {
        if (error.status !== 412) throw error;
        replaceField.hidden = false;
        throw new Problem(412, { detail: `There is an endpoint ${name.value} already.` });
      }
    },
  });
  if (!saved) return;
  announce(`Saved as endpoint ${saved.name}`);
  location.hash = `#/endpoints/${encodeURIComponent(saved.name)}`;
}
