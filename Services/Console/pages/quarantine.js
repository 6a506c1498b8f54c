// Records that were turned down: why, which, and how to heal them.

import { h, put, announce } from "/console/dom.js";
import { all, get, path, send } from "/console/api.js";
import { ago, count, plural, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, confirmDanger, empty, errorPlace, liveTable, pageHead, pager, progress, section,
  select } from "/console/ui.js";

/** Datasets whose reasons are looked at in the list of all. */
const REASONED = 30;
/** What a dataset's quarantine is counted to in a list. */
export const COUNTED = 10000;

export async function render(root, { rest, signal }) {
  if (rest[0]) {
    put(root, pageHead(rest[0], "Its quarantine.", h("a", { class: "button", href: "#/quarantine" }, "All datasets")),
      quarantineOf(rest[0], signal));
    return;
  }
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const table = liveTable("Quarantine of each dataset", [
    { title: "Dataset", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/quarantine/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Records", numeric: true, text: (item) => count(item.records) + (item.truncated ? "+" : "") },
    { title: "Most frequent reason", text: (item) => (item.items?.[0] ? reason(item.items[0]) : "") },
    { title: "Latest", text: (item) => (item.items?.length ? ago(item.items.map((one) => one.last_at).sort().at(-1))
      : "") },
  ], (item) => item.name);
  put(root, pageHead("Quarantine", "Records that were turned down, kept byte for byte with the reason."), problem,
    place);
  repeat(async () => {
    const datasets = await all("/v1/datasets", { quarantined: true, limit: 100 }, signal);
    const most = datasets.filter((item) => item.quarantined)
      .sort((one, other) => other.quarantined - one.quarantined);
    // Why is asked of the longest; the others tell it when they are opened.
    const open = await Promise.all(most.map(async ({ name, quarantined }, at) => (at < REASONED
      ? { name, ...await get(path`/v1/datasets/${name}/quarantine/reasons`, {}, signal) }
      : { name, records: quarantined, truncated: quarantined >= COUNTED, items: null })));
    open.isCut = datasets.isCut;
    table.update(open);
    if (!open.length) put(place, empty("Nothing is in quarantine",
      "What cannot be stored comes here with its reason, and can be healed once pipeline or schema are mended."));
    else if (!place.contains(table)) put(place, table);
  }, 5000, signal, problem.show);
}

function reason(item) {
  return [item.code.replaceAll("_", " "), item.column && `in ${item.column}`].filter(Boolean).join(" ");
}

/** A reason in full: what tells it from the others. */
function described({ code, column, stage, step, pipeline }) {
  return [code.replaceAll("_", " "), column && `in ${column}`, `at ${step ?? stage}`, `of ${pipeline}`]
    .filter(Boolean).join(" ");
}

/** What heals the records of one reason and no others. */
function only({ pipeline, code, step, column, stage }) {
  return { pipeline, reason: { code, step, column, stage } };
}

/** The quarantine of one dataset: reasons, heal, records. */
export function quarantineOf(name, signal) {
  const problem = errorPlace();
  const healing = h("div", { role: "status" });
  const place = h("div", { class: "tabpanel" });
  const records = h("div", {});
  const heal = (one, label) => h("button", {
    type: "button", class: one ? "small" : "primary", onclick: (event) => start(one, event.currentTarget),
  }, label, one && h("span", { class: "unseen" }, ` ${described(one)}`));
  const table = liveTable("Reasons, most frequent first", [
    { title: "Reason", isName: true, text: (item) => item.code.replaceAll("_", " ") },
    { title: "Column", mono: true, text: (item) => item.column ?? "" },
    { title: "Stage", text: (item) => item.stage }, { title: "Step", mono: true, text: (item) => item.step ?? "" },
    { title: "Pipeline", key: (item) => item.pipeline,
      node: (item) => h("a", { href: `#/pipelines/${encodeURIComponent(item.pipeline)}` }, item.pipeline) },
    { title: "Records", numeric: true, text: (item) => count(item.records) },
    { title: "Latest", text: (item) => ago(item.last_at) },
    { title: "", key: (item) => item.code, node: (item) => heal(item, "Heal") },
  ], (item) => [item.pipeline, item.stage, item.code, item.step, item.column].join("\u0001"));
  const about = h("p", { class: "about" });

  async function start(one, button) {
    const which = one ? `the records with the reason “${described(one)}”` : "all of its records";
    const agreed = await confirmDanger(`Heal ${name}?`,
      `Runs ${which} again through the pipelines as they are now. `
        + "Those that pass are stored; the others stay, with their new reasons.", "Heal");
    if (!agreed) return;
    button.disabled = true;
    problem.show(null);
    try {
      const answer = (await send("POST", path`/v1/datasets/${name}/quarantine/replay`,
        { body: one ? only(one) : {} })).data;
      if (answer.run) await follow(answer.runs);
      else put(healing, h("p", { class: "note" }, "There is nothing that could be healed."));
    } catch (error) {
      if (error.name !== "AbortError") problem.show(error);
    } finally {
      button.disabled = false;
      refresh();
      showRecords();
    }
  }

  function follow(runs) {
    return new Promise((resolve) => {
      const end = new AbortController();
      let last = "";
      signal.addEventListener("abort", () => end.abort(), { signal: end.signal });
      repeat(async () => {
        const all = await Promise.all(runs.map((id) => get(path`/v1/runs/${id}`, {}, signal)));
        const sum = (read) => all.reduce((total, run) => total + read(run), 0);
        const isOver = all.every((run) => !["queued", "running"].includes(run.state));
        const stored = sum((run) => run.records.stored);
        const failing = sum((run) => run.records.quarantined);
        // What stays as it is would be read out again and again.
        const told = JSON.stringify(all.map(({ state, records, progress: { done } }) => [state, records, done]));
        if (told !== last) put(healing, h("div", { class: "panel" },
          h("div", { class: "actions" }, isOver ? "Healed: " : "Healing … ", all.map((run) => badge(run.state)),
            h("a", { href: `#/runs/${encodeURIComponent(runs[0])}` }, `run ${runs.join(", ")}`)),
          progress(sum((run) => run.progress.done), sum((run) => run.progress.total), `Healing of ${name}`),
          h("p", {}, `${plural(stored, "row")} stored, ${plural(failing, "record")} still failing.`)));
        last = told;
        if (!isOver) return;
        announce(`Heal of ${name} is over: ${stored} stored, ${failing} still failing`);
        end.abort();
        resolve();
      }, 500, end.signal, problem.show);
    });
  }

  const refresh = repeat(async () => {
    const found = await get(path`/v1/datasets/${name}/quarantine/reasons`, {}, signal);
    table.update(found.items);
    const number = found.truncated ? `More than ${count(found.records)} records` : plural(found.records, "record");
    put(about, `${number}. A record with several reasons counts for each.`);
    if (!found.records) put(place, section("Quarantine", empty("Nothing is in quarantine",
      "Every record of this dataset was stored or filtered.")));
    else if (!place.contains(table)) {
      put(place, section("Reasons", h("div", { class: "actions" }, heal(null, "Heal all"), about), table),
        section("Records", records));
      showRecords();
    }
  }, 4000, signal, problem.show);

  function showRecords() {
    const list = h("div", { class: "tabpanel" });
    const stage = select([["", "All stages"], ["decode", "Decode"], ["transform", "Transform"], ["store", "Store"]], "",
      { "aria-label": "Stage", onchange: () => show() });
    const fault = errorPlace();
    const show = () => put(list, pager(
      (cursor) => get(path`/v1/datasets/${name}/quarantine`, { limit: 20, cursor, stage: stage.value || null }, signal),
      (items) => {
        list.querySelectorAll("article").forEach((one) => one.remove());
        list.prepend(...items.map(record));
      }, fault));
    put(records, h("div", { class: "actions" }, stage), fault, list);
    show();
  }

  return h("div", { class: "tabpanel" }, problem, healing, place);
}

function record(item) {
  return h("article", { class: "record" },
    h("h3", {}, `Record ${item.row} of batch ${item.batch}`),
    h("p", { class: "about" },
      `${item.pipeline}, version ${item.version}; turned down at ${item.stage}, ${time(item.at)}`),
    h("ul", {}, item.errors.map((error) => h("li", {},
      h("strong", {}, String(error.code).replaceAll("_", " ")), error.column ? ` in ${error.column}` : "", ": ",
        error.message))),
    h("pre", { class: "wrap", tabindex: "0", "aria-label": "Raw record" }, item.raw));
}
