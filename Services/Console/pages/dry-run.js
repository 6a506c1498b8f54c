// What a pipeline would store of pasted records: the text goes as it is, and is cut and read as ingest would.

import { h, put } from "/console/dom.js";
import { path, post } from "/console/api.js";
import { plural } from "/console/format.js";
import { errorPlace, field, section, select } from "/console/ui.js";
import { resultTable, tableOf } from "/console/charts.js";

const FORMATS = [["application/x-ndjson", "JSON, a record a line"], ["application/json", "JSON, an object or an array"],
  ["text/csv", "CSV with a header row"], ["text/plain", "Text, a record a line"]];

function isObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/** The format that a text looks like. `readsLines`: the pipeline's steps read lines of text. */
export function guess(text, readsLines) {
  const whole = text.trim();
  const [first, ...others] = whole.split("\n");
  if (whole.startsWith("[")) return isObject(first) && others.length ? "application/x-ndjson" : "application/json";
  if (whole.startsWith("{")) return !isObject(first) && isObject(whole) ? "application/json" : "application/x-ndjson";
  const names = first.split(",");
  const isHeader = names.length > 1 && names.every((name) => /^\s*"?[\p{L}_][\p{L}\p{N}_ .-]*"?\s*$/u.test(name));
  return isHeader && !readsLines ? "text/csv" : "text/plain";
}

export function dryRun(name, definition) {
  const readsLines = (definition.steps || []).some((step) => step.parse && (step.parse.from ?? "line") === "line");
  const text = h("textarea", { spellcheck: "false", rows: "8" });
  const format = select(FORMATS, readsLines ? "text/plain" : FORMATS[0][0]);
  const formatField = field("Format", format, "As it looks; choose another if it is not.");
  const problem = errorPlace();
  const outcome = h("div", { class: "tabpanel", "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "primary" }, "Run dry");
  let isChosen = false;
  format.addEventListener("change", () => { isChosen = true; });
  text.addEventListener("input", () => {
    if (!text.value.trim()) isChosen = false;
    else if (!isChosen) format.value = guess(text.value, readsLines);
  });

  async function run(event) {
    event.preventDefault();
    button.disabled = true;
    problem.show(null);
    try {
      put(outcome, results(await post(path`/v1/pipelines/${name}/dry-run`,
        { raw: text.value, format: format.value }, { query: { numbers: "string" } })));
    } catch (error) {
      put(outcome);
      problem.show(error);
    } finally {
      button.disabled = false;
    }
  }

  return h("div", { class: "tabpanel" }, section("Dry run",
    h("form", { class: "tabpanel", onsubmit: run },
      field("Records", text, "As they would be sent. Nothing is stored."), formatField,
      h("div", { class: "actions" }, button)), problem), outcome);
}

const MODES = {
  upsert: "a row takes the place of an older one", ignore: "a row is left out where there is an older one",
  append: "a record is quarantined where there is an older row",
};

/** What an output's dataset would be given. */
function output(found, about) {
  const added = found.new_columns.map((column) => `${column.name} ${column.type}`).join(", ");
  return [
    section(`${found.dataset}${about}: ${plural(found.rows.length, "row")}`,
      added ? h("p", { class: "about" }, `It would get new columns: ${added}.`) : null,
      found.primary_key.length && MODES[found.mode] ? h("p", { class: "about" },
        `Mode ${found.mode}: ${MODES[found.mode]} with the same ${found.primary_key.join(", ")}. `
          + "What is stored already was not looked at.") : null,
      found.rows.length ? resultTable(`Rows of ${found.dataset}`, tableOf(found.rows))
        : h("p", { class: "about" }, "No rows.")),
    found.deletes.length ? section(`${found.dataset}: ${plural(found.deletes.length, "row")} would be deleted`,
      resultTable(`Rows that delete from ${found.dataset}`, tableOf(found.deletes))) : null,
  ];
}

function raw(item) {
  return typeof item === "string" ? item : JSON.stringify(item);
}

function results(found) {
  const lines = (title, items) => (items.length ? section(`${title}: ${plural(items.length, "record")}`,
    h("pre", { class: "wrap", tabindex: "0", "aria-label": title }, items.map(raw).join("\n"))) : null);
  return [
    found.failed ? h("p", { class: "error" },
      `The whole batch would be turned down: ${found.failed.message} (${found.failed.code})`) : null,
    output(found, ""), found.routed.map((branch) => output(branch, ", by route")),
    lines("Filtered", found.filtered), lines("Duplicates", found.duplicates),
    found.quarantined.length ? section(`Quarantined: ${plural(found.quarantined.length, "record")}`,
      found.quarantined.map((item) => h("article", { class: "record" },
        h("ul", {}, item.errors.map((error) => h("li", {}, h("strong", {}, String(error.code).replaceAll("_", " ")),
          error.step ? ` at ${error.step}` : "", error.column ? ` in ${error.column}` : "", ": ", error.message))),
        h("pre", { class: "wrap", tabindex: "0", "aria-label": `Record ${item.row}` }, raw(item.raw))))) : null,
  ];
}
