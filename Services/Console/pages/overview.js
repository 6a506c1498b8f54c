// What goes on, live: what comes in, what is stored, what waits, what was turned down.

import { h, put, say } from "/console/dom.js";
import { all, get, path } from "/console/api.js";
import { bytes, count, duration, short } from "/console/format.js";
import { repeat, History } from "/console/live.js";
import { errorPlace, liveTable, pageHead, section, sparkline } from "/console/ui.js";
import { liveChart } from "/console/charts.js";
import { firstSteps } from "/console/pages/sources.js";

/** Sources and datasets that are looked at one by one. */
const MOST = 50;

function tile(name, href, history) {
  const figure = h("span", { class: "figure" }, "–");
  const more = h("span", { class: "aside" });
  const line = h("span", {});
  const element = h(href ? "a" : "div", { class: "tile", href },
    h("span", { class: "name" }, name), figure, more, history ? line : null);
  const readings = new History();
  element.set = (text, value, about = "", level = "") => {
    say(figure, text);
    say(more, about);
    element.className = `tile ${level}`.trim();
    if (!history) return;
    readings.add(value);
    put(line, sparkline(readings.values));
  };
  return element;
}

export async function render(root, { session, signal }) {
  const isPlatform = session.workspace === "default" && session.scopes.includes("admin");
  const problem = errorPlace();
  const tiles = {
    in: tile("Records in / s", "#/sources", true), stored: tile("Rows stored / s", "#/datasets", true),
    lag: tile("Longest lag", "#/sources", true), queue: isPlatform ? tile("Jobs that wait", "#/queues", true) : null,
    quarantine: tile("In quarantine", "#/quarantine"), errors: tile("Failures", "#/queues"),
  };
  const rates = h("div", {});
  const sources = liveTable("Sources", [
    { title: "Source", isName: true, key: (item) => item.name,
      node: (item) => h("a", { href: `#/sources/${encodeURIComponent(item.name)}` }, item.name) },
    { title: "Records/s", numeric: true, text: (item) => short(item.rates.records_per_second) },
    { title: "Bytes/s", numeric: true, text: (item) => bytes(Math.round(item.rates.bytes_per_second)) },
    { title: "Stored/s", numeric: true, text: (item) => short(item.rates.stored_per_second) },
    { title: "Lag", numeric: true, text: (item) => duration(item.lag_seconds) },
  ], (item) => item.name);
  const body = h("div", { class: "page" });
  put(root, pageHead("Overview", "Live; it rests while the tab is hidden."), problem, body);

  const names = (await all("/v1/sources", {}, signal, MOST)).map((item) => item.name);
  if (!names.length) {
    put(body, h("div", { class: "panel" }, firstSteps()));
    repeat(async () => {
      if ((await get("/v1/sources", { limit: 1 }, signal)).items.length) render(root, { session, signal });
    }, 3000, signal, problem.show);
    return;
  }
  put(body, h("div", { class: "tiles" }, Object.values(tiles)),
    section("Records a second", rates), section("Sources", sources));
  const chart = await liveChart(rates, "Records in and rows stored, a second, over the last minutes",
    ["In", "Stored"], 100);
  signal.addEventListener("abort", () => chart.end());

  const look = async () => {
    const [list, queues] = await Promise.all([
      all("/v1/sources", {}, signal, MOST).then((items) =>
        Promise.all(items.map((item) => get(path`/v1/sources/${item.name}`, {}, signal)))),
      isPlatform ? get("/v1/queues", {}, signal) : null,
    ]);
    const sum = (read) => list.reduce((total, item) => total + read(item), 0);
    const [input, stored] = [sum((item) => item.rates.records_per_second), sum((item) => item.rates.stored_per_second)];
    const lag = Math.max(0, ...list.map((item) => item.lag_seconds));
    tiles.in.set(short(input), input, `${bytes(Math.round(sum((item) => item.rates.bytes_per_second)))}/s`);
    tiles.stored.set(short(stored), stored, "over the last minute");
    tiles.lag.set(duration(lag), lag, lag ? "the oldest record not stored yet" : "all is stored", lag > 60 ? "warn"
      : "");
    if (queues) {
      const waiting = queues.items.reduce((total, queue) => total + queue.ready + queue.running, 0);
      const paused = queues.items.filter((queue) => queue.paused).map((queue) => queue.name);
      tiles.queue.set(count(waiting), waiting, paused.length ? `paused: ${paused.join(", ")}` : "in all queues",
        paused.length ? "warn" : "");
    }
    sources.update(list);
    chart.push(new Date().toISOString().slice(11, 19), [input, stored]);
  };
  repeat(look, 3000, signal, problem.show);

  const faults = async () => {
    const datasets = await all("/v1/datasets", {}, signal, MOST);
    const reasons = await Promise.all(datasets.map((item) =>
      get(path`/v1/datasets/${item.name}/quarantine/reasons`, {}, signal)));
    const records = reasons.reduce((total, item) => total + item.records, 0);
    const open = reasons.filter((item) => item.records).length;
    const beyond = reasons.some((item) => item.truncated) ? "+" : "";
    tiles.quarantine.set(count(records) + beyond, 0, open ? `of ${open} datasets` : "nothing", records ? "warn" : "");
    const [dead, failed] = await Promise.all([
      get("/v1/jobs", { state: "dead", limit: 100 }, signal), get("/v1/runs", { state: "failed", limit: 100 },
        signal)]);
    const number = dead.items.length + failed.items.length;
    tiles.errors.set(`${count(number)}${dead.next_cursor || failed.next_cursor ? "+" : ""}`, 0,
      `${count(dead.items.length)} jobs, ${count(failed.items.length)} runs`, number ? "bad" : "");
  };
  repeat(faults, 15000, signal, problem.show);
}
