// Queues and jobs: how much waits, what has died, and what can be done about it.

import { h, put, announce } from "/console/dom.js";
import { get, path, post } from "/console/api.js";
import { count, duration, plural, short, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { badge, confirmDanger, empty, errorPlace, factList, growing, liveTable, pageHead, section,
  select } from "/console/ui.js";

export async function render(root, context) {
  return context.rest[0] === "jobs" ? job(root, context, context.rest[1]) : list(root, context);
}

async function list(root, { session, signal, query }) {
  const problem = errorPlace();
  const isPlatform = session.workspace === "default" && session.scopes.includes("admin");
  const act = (label, work, name) => h("button", {
    type: "button", class: "small",
    onclick: async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        await work();
        problem.show(null);
        refresh();
        refreshJobs();
      } catch (error) {
        problem.show(error);
      } finally {
        button.disabled = false;
      }
    },
  }, label, h("span", { class: "unseen" }, ` ${name}`));

  const queues = liveTable("Queues", [
    { title: "Queue", isName: true, text: (item) => item.name },
    { title: "State", key: (item) => item.paused, node: (item) => badge(item.paused ? "paused" : "open") },
    { title: "Ready", numeric: true, text: (item) => count(item.ready) },
    { title: "Oldest", numeric: true, text: (item) => duration(item.oldest_age_seconds) },
    { title: "Running", numeric: true, text: (item) => count(item.running) },
    { title: "Deferred", numeric: true, text: (item) => count(item.deferred) },
    { title: "Waiting", numeric: true, text: (item) => count(item.waiting + item.blocked) },
    { title: "Dead", numeric: true, text: (item) => count(item.dead) },
    { title: "Done/s", numeric: true, text: (item) => short(item.rates.succeeded) },
    { title: "Failed/s", numeric: true, text: (item) => short(item.rates.failed) },
    { title: "", key: (item) => `${item.paused} ${item.dead > 0}`, node: (item) => h("div", { class: "actions" },
      item.paused ? act("Resume", () => post(path`/v1/queues/${item.name}/resume`), `queue ${item.name}`)
        : act("Pause", () => pause(item.name), `queue ${item.name}`),
      item.dead ? act("Redrive", () => redrive(item), `dead jobs of queue ${item.name}`) : null) },
  ], (item) => item.name);

  async function pause(name) {
    if (await confirmDanger(`Pause ${name}?`,
      "No further job of the queue is started, in any workspace, until it is resumed.", "Pause")) {
      await post(path`/v1/queues/${name}/pause`);
    }
  }

  async function redrive(item) {
    if (!await confirmDanger(`Redrive ${item.name}?`,
      `${plural(item.dead, "dead job")} of the queue are tried again.`, "Redrive")) return;
    const found = await post(path`/v1/queues/${item.name}/redrive`);
    announce(`${plural(found.redriven, "job")} redriven`
      + (found.key_taken ? `, ${found.key_taken} left: another job has the unique key` : ""));
  }

  const states = ["ready", "deferred", "waiting", "blocked", "running", "succeeded", "dead", "cancelled"];
  const state = select([["", "All states"], ...states.map((one) => [one, one])], query.get("state") || "",
    { "aria-label": "State of jobs", onchange: () => refreshJobs() });
  const jobs = liveTable("Jobs, newest first", [
    { title: "Job", isName: true, key: (item) => item.id, node: (item) => h("a", { href: `#/queues/jobs/${item.id}` },
      item.id) },
    { title: "Queue", text: (item) => item.queue }, { title: "Kind", text: (item) => item.kind },
    { title: "State", key: (item) => item.state, node: (item) => badge(item.state) },
    { title: "Enqueued", isWhole: true, text: (item) => time(item.enqueued_at) },
    { title: "Error", text: (item) => item.error ?? "" },
    { title: "", key: (item) => item.state, node: (item) => h("div", { class: "actions" }, jobActions(item, act)) },
  ], (item) => item.id);
  const list = growing("/v1/jobs", () => ({ state: state.value || null }), signal, () => refreshJobs());
  const jobPlace = h("div", { class: "tabpanel" }, jobs, list.more);

  put(root, pageHead("Queues and jobs", "The platform's own work, in PostgreSQL."), problem,
    isPlatform ? section("Queues", queues) : null, section("Jobs", h("div", { class: "actions" }, state), jobPlace));
  const refresh = isPlatform
    ? repeat(async () => queues.update((await get("/v1/queues", {}, signal)).items), 2000, signal, problem.show)
    : () => {};
  const refreshJobs = repeat(async () => {
    const items = await list.load();
    jobs.update(items);
    if (!items.length) put(jobPlace, empty("No jobs here", items.hasMore
      ? "None of the newest jobs is in this state; older ones may be."
      : "Jobs are made by records that come in, and by runs."), list.more);
    else if (!jobPlace.contains(jobs)) put(jobPlace, jobs, list.more);
  }, 3000, signal, problem.show);
}

function jobActions(item, act) {
  const cancellable = ["ready", "deferred", "waiting", "blocked", "running"].includes(item.state);
  return [
    item.state === "dead" ? act("Retry", () => post(path`/v1/jobs/${item.id}/retry`), `job ${item.id}`) : null,
    cancellable ? act("Cancel", async () => {
      if (await confirmDanger(`Cancel job ${item.id}?`,
        "What it was to do is not done; a batch of records stays unfinished.", "Cancel the job")) {
        await post(path`/v1/jobs/${item.id}/cancel`);
      }
    }, `job ${item.id}`) : null,
  ];
}

async function job(root, { signal }, id) {
  const problem = errorPlace();
  const body = h("div", { class: "tabpanel" });
  const actions = h("div", { class: "actions" });
  put(root, pageHead(`Job ${id}`, null, h("a", { class: "button", href: "#/queues" }, "All jobs"), actions), problem,
    body);
  const act = (label, work) => h("button", { type: "button", onclick: () => work().then(refresh, problem.show) },
    label);
  let last = "";
  const refresh = repeat(async () => {
    const item = await get(path`/v1/jobs/${id}`, {}, signal);
    const text = JSON.stringify(item);
    if (text === last) return;
    last = text;
    put(actions, jobActions(item, act));
    const facts = [
      ["State", badge(item.state)], ["Queue", item.queue], ["Kind", item.kind], ["Priority", item.priority],
      ["Enqueued", time(item.enqueued_at)], ["Runs at", time(item.run_at)],
      ["Attempts", `${item.attempts.length} of ${item.max_attempts}`], ["Waits for", item.waits_for.join(", ")
        || "nothing"],
      ["Run by", item.running.map((one) => `${one.worker}, since ${time(one.claimed_at)}`).join("; ") || "nobody"],
    ];
    const attempts = liveTable("Attempts", [
      { title: "Attempt", isName: true, numeric: true, text: (one) => one.attempt },
      { title: "State", key: (one) => one.state, node: (one) => badge(one.state) },
      { title: "At", isWhole: true, text: (one) => time(one.at) }, { title: "Error", text: (one) => one.error ?? "" },
    ], (one) => `${one.attempt} ${one.at} ${one.items?.first ?? ""}`);
    attempts.update(item.attempts);
    put(body, section("Job", factList(facts)),
      section("Attempts", item.attempts.length ? attempts : h("p", { class: "about" }, "It has not been tried yet.")),
      section("Arguments", h("pre", { tabindex: "0", "aria-label": "Arguments" }, JSON.stringify(item.arguments, null,
        2))));
  }, 2000, signal, problem.show);
}
