// Dashboards: charts over queries, endpoints and rollups, saved under a name.

import { h, put, announce } from "/console/dom.js";
import { Problem, all, get, path, send } from "/console/api.js";
import { plural, time } from "/console/format.js";
import { follow, repeat } from "/console/live.js";
import { ask, confirmDanger, empty, errorPlace, fault, field, liveTable, pageHead, section,
  select } from "/console/ui.js";
import { KINDS, draw, tableOf } from "/console/charts.js";

const NAME = { type: "text", required: true, pattern: "[a-z][a-z0-9_]{0,47}", autocomplete: "off",
  spellcheck: "false" };

export async function render(root, context) {
  return context.rest[0] ? dashboard(root, context, context.rest[0]) : list(root, context);
}

async function list(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Dashboards", [
    { title: "Dashboard", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/dashboards/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Title", text: (item) => item.title ?? "" }, { title: "Charts", numeric: true,
      text: (item) => item.charts },
    { title: "Version", numeric: true, text: (item) => item.version },
      { title: "Changed", isWhole: true, text: (item) => time(item.updated_at) },
  ], (item) => item.name);
  put(root, pageHead("Dashboards", "Charts that a workspace looks at together.",
    h("button", { type: "button", class: "primary", onclick: create }, "New dashboard…")), problem, place);
  repeat(async () => {
    const items = await all("/v1/dashboards", {}, signal);
    table.update(items);
    if (!items.length) put(place, empty("No dashboard yet", "Make one here, or run a query and add its chart.",
      h("a", { href: "#/query" }, "Go to the query page")));
    else if (!place.contains(table)) put(place, table);
  }, 8000, signal, problem.show);
}

async function create() {
  const name = h("input", NAME);
  const title = h("input", { type: "text", maxlength: "200" });
  const made = await ask({
    title: "New dashboard", action: "Make it", fields: [field("Name", name, "Lower case letters, digits and _"),
      field("Title", title)],
    read: async () => (await send("PUT", path`/v1/dashboards/${name.value}`, {
      body: { title: title.value || null, charts: [] }, headers: { "If-None-Match": "*" } })).data,
  });
  if (made) location.hash = `#/dashboards/${encodeURIComponent(made.name)}`;
}

/** What a PUT takes of what a GET has answered. */
function definitionOf({ title, description, refresh, charts }) {
  return { title, description, refresh, charts };
}

/** Adds a chart of a query to a dashboard that is there, or to a new one. */
export async function saveChart(chart) {
  const items = await all("/v1/dashboards", {});
  const which = select([...items.map((item) => [item.name, item.title || item.name]), ["", "A new dashboard"]],
    items[0]?.name ?? "");
  const name = h("input", { ...NAME, required: !items.length });
  const nameField = field("Name of the new dashboard", name, "Lower case letters, digits and _");
  const title = h("input", { type: "text", maxlength: "200" });
  const adapt = () => {
    nameField.hidden = Boolean(which.value);
    name.required = !which.value;
  };
  which.addEventListener("change", adapt);
  adapt();
  const saved = await ask({
    title: "Add to dashboard", action: "Add", fields: [field("Dashboard", which), nameField,
      field("Title of the chart", title)],
    read: async () => {
      const target = which.value || name.value;
      const added = { ...chart, title: title.value || null };
      if (!which.value) {
        return (await send("PUT", path`/v1/dashboards/${target}`, { body: { charts: [added] },
          headers: { "If-None-Match": "*" } })).data;
      }
      const known = await send("GET", path`/v1/dashboards/${target}`);
      const body = definitionOf(known.data);
      body.charts.push(added);
      return (await send("PUT", path`/v1/dashboards/${target}`, { body, headers: { "If-Match": known.etag } })).data;
    },
  });
  if (!saved) return;
  announce(`Added to ${saved.name}`);
  location.hash = `#/dashboards/${encodeURIComponent(saved.name)}`;
}

async function rowsOf(chart, signal) {
  if (chart.query !== undefined) {
    return (await send("POST", "/v1/query", { query: { numbers: "string" }, body: { sql: chart.query, limit: 2000 },
      signal })).data;
  }
  if (chart.endpoint) {
    const answer = await get(path`/v1/endpoints/${chart.endpoint.name}/data`, chart.endpoint.parameters, signal);
    return { ...tableOf(answer.items), truncated: answer.truncated };
  }
  const { name, range, ...options } = chart.rollup;
  const from = new Date(Date.now() - milliseconds(range)).toISOString();
  const answer = await get(path`/v1/rollups/${name}/data`, { from, ...options }, signal);
  const found = { ...tableOf(answer.items), truncated: answer.truncated };
  // A dimension of numbers tells series apart all the same.
  const dimensions = (options.group_by ?? "").split(",").map((one) => one.trim());
  for (const column of found.columns) if (dimensions.includes(column.name)) column.type = "text";
  return found;
}

function milliseconds(text) {
  const units = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
  const [, number, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  return Number(number) * units[unit];
}

async function dashboard(root, { signal }, name) {
  const problem = errorPlace();
  let { data, etag } = await send("GET", path`/v1/dashboards/${name}`, { signal });
  let isEditing = false;
  let drawn = new AbortController();
  const grid = h("div", { class: "grid" });
  const edit = h("button", { type: "button", "aria-pressed": "false",
    onclick: () => { isEditing = !isEditing; show(); } }, "Edit");
  const title = h("input", { type: "text", maxlength: "200", value: data.title ?? "" });
  const refresh = select([["", "Only when it is opened"], ["10s", "Every 10 seconds"], ["1m", "Every minute"],
    ["10m", "Every 10 minutes"]],
    data.refresh ?? "");
  const settings = section("Settings", h("form", {
    class: "fields",
    onsubmit: (event) => {
      event.preventDefault();
      save((body) => Object.assign(body, { title: title.value || null, refresh: refresh.value || null }));
    },
  }, field("Title", title), field("Drawn anew", refresh), h("button", { type: "submit" }, "Save")));
  const head = h("div", {});
  put(root, head, problem, settings, grid);
  signal.addEventListener("abort", () => drawn.abort());

  async function save(change) {
    const body = structuredClone(definitionOf(data));
    change(body);
    try {
      ({ data, etag } = await send("PUT", path`/v1/dashboards/${name}`, { body, headers: { "If-Match": etag },
        signal }));
      problem.show(null);
      announce("Saved");
      show();
    } catch (error) {
      const stale = "Somebody else has changed this dashboard meanwhile. Load the page again, then repeat the change.";
      problem.show(error.status === 412 ? stale : error);
    }
  }

  async function remove() {
    if (!await confirmDanger(`Delete ${name}?`, "The dashboard goes; what its charts show stays.",
      "Delete the dashboard", name)) return;
    try {
      await send("DELETE", path`/v1/dashboards/${name}`, { headers: { "If-Match": etag } });
      location.hash = "#/dashboards";
    } catch (error) {
      problem.show(error);
    }
  }

  async function change(at) {
    const chart = await chartDialog(at === null ? {} : data.charts[at]);
    if (chart) save((body) => { if (at === null) body.charts.push(chart); else body.charts[at] = chart; });
  }

  function controls(at, label) {
    const button = (text, work, disabled) => h("button", { type: "button", class: "small", disabled, onclick: work },
      text, h("span", { class: "unseen" }, ` ${label}`));
    const move = (step) => save((body) => body.charts.splice(at + step, 0, ...body.charts.splice(at, 1)));
    return h("div", { class: "actions" },
      button("Earlier", () => move(-1), at === 0), button("Later", () => move(1), at === data.charts.length - 1),
      button("Change", () => change(at)),
      button("Remove", async () => {
        if (await confirmDanger("Remove the chart?", label, "Remove")) save((body) => body.charts.splice(at, 1));
      }));
  }

  function show() {
    drawn.abort();
    drawn = new AbortController();
    edit.setAttribute("aria-pressed", String(isEditing));
    edit.textContent = isEditing ? "Done" : "Edit";
    settings.hidden = !isEditing;
    put(head, pageHead(data.title || name, data.description || plural(data.charts.length, "chart"),
      h("button", { type: "button", onclick: () => change(null) }, "Add chart…"), edit,
      h("button", { type: "button", class: "danger", onclick: remove }, "Delete…")));
    if (!data.charts.length) {
      put(grid, h("div", { class: "panel span-12 rows-2" }, empty("No charts yet",
        "Add one by SQL, or run a query and add its chart.",
        h("a", { href: "#/query" }, "Go to the query page"))));
      return;
    }
    const places = data.charts.map((chart, at) => {
      const label = chart.title || `Chart ${at + 1}`;
      const place = h("div", {});
      const panel = section(label, isEditing ? controls(at, label) : null, place);
      panel.classList.add(`span-${chart.width}`, `rows-${chart.height}`);
      return { chart, label, place, panel };
    });
    put(grid, places.map((one) => one.panel));
    const { signal: end } = drawn;
    const drawThose = (those) => Promise.all(those.map(async ({ chart, label, place }) => {
      if (!place.firstChild) put(place, h("p", { class: "about" }, "Loading …"));
      try {
        await draw(place, chart.type, await rowsOf(chart, end), chart, label);
      } catch (error) {
        if (error.name !== "AbortError") put(place, h("p", { class: "error" }, fault(error)));
      }
    }));
    const drawAll = () => drawThose(places);
    if (data.refresh) repeat(drawAll, milliseconds(data.refresh), end, problem.show);
    else drawAll();
    // Six connections are all that a browser opens to a host: the others are drawn anew by time.
    const rollups = new Set(data.charts.map((chart) => chart.rollup?.name).filter(Boolean));
    for (const rollup of [...rollups].slice(0, 2)) {
      follow(path`/v1/rollups/${rollup}/live`, 1000, end,
        () => drawThose(places.filter((one) => one.chart.rollup?.name === rollup)));
    }
  }

  show();
}

const CONTENTS = [["query", "A query"], ["endpoint", "An endpoint"], ["rollup", "A rollup"]];

/** Asks what a chart is to be; resolves to it, or to null. */
function chartDialog(chart) {
  const title = h("input", { type: "text", maxlength: "200", value: chart.title ?? "" });
  const type = select(KINDS, chart.type ?? "line");
  const content = select(CONTENTS, chart.rollup ? "rollup" : chart.endpoint ? "endpoint" : "query");
  const sql = h("textarea", { spellcheck: "false", rows: "5", value: chart.query ?? "" });
  const name = h("input", { ...NAME, value: chart.endpoint?.name ?? chart.rollup?.name ?? "" });
  const more = h("input", { type: "text", class: "mono", spellcheck: "false",
    value: new URLSearchParams(chart.endpoint?.parameters ?? optionsOf(chart.rollup)).toString() });
  const x = h("input", { type: "text", value: chart.x ?? "" });
  const y = h("input", { type: "text", value: (chart.y ?? []).join(", ") });
  const width = select([["12", "Full"], ["8", "Two thirds"], ["6", "Half"], ["4", "A third"], ["3", "A quarter"]],
    String(chart.width ?? 6));
  const height = select([["1", "Low"], ["2", "Usual"], ["3", "High"], ["4", "Very high"]], String(chart.height ?? 2));
  if (!width.value) width.prepend(h("option", { value: chart.width, selected: true }, `${chart.width} of 12`));
  if (!height.value) height.prepend(h("option", { value: chart.height, selected: true }, `${chart.height} rows`));
  const sqlField = field("SQL", sql);
  const nameField = field("Name", name);
  const moreField = field("Parameters", more,
    "As in a URL: from=2026-01-01&n=10; for a rollup range, grain, group_by, where");
  const adapt = () => {
    sqlField.hidden = content.value !== "query";
    nameField.hidden = moreField.hidden = content.value === "query";
    sql.required = content.value === "query";
    name.required = !sql.required;
  };
  content.addEventListener("change", adapt);
  adapt();
  return ask({
    title: chart.type ? "Change the chart" : "Add a chart", action: chart.type ? "Change" : "Add",
    fields: [field("Title", title), h("div", { class: "fields" }, field("Type", type), field("Content", content)),
      sqlField, nameField, moreField,
      h("div", { class: "fields" }, field("Labels", x, "A column"), field("Values", y, "Columns, by commas")),
      h("div", { class: "fields" }, field("Width", width), field("Height", height))],
    read: () => {
      const columns = y.value.split(",").map((one) => one.trim()).filter(Boolean);
      const made = {
        title: title.value || null, type: type.value, x: x.value || null, y: columns.length ? columns : null,
        width: Number(width.value), height: Number(height.value),
      };
      const options = Object.fromEntries(new URLSearchParams(more.value));
      if (content.value === "query") return { ...made, query: sql.value };
      if (!name.value) throw new Problem(0, { detail: "A name is needed." });
      if (content.value === "endpoint") return { ...made, endpoint: { name: name.value, parameters: options } };
      return { ...made, rollup: { name: name.value, ...options } };
    },
  });
}

function optionsOf(rollup) {
  const { name: _, ...options } = rollup ?? {};
  return options;
}
