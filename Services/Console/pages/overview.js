// What goes on, live: what comes in, what is stored, what waits, what was turned down.

import { h, put, say } from "/console/dom.js";
import { all, get } from "/console/api.js";
import { bytes, count, duration, plural, short } from "/console/format.js";
import { repeat, History } from "/console/live.js";
import { errorPlace, liveTable, pageHead, section, sparkline } from "/console/ui.js";
import { liveChart } from "/console/charts.js";
import { COUNTED } from "/console/pages/quarantine.js";
import { firstSteps } from "/console/pages/sources.js";

/** Sources and datasets that are counted; where there are more, it is said. */
const MOST = 1000;
/** Sources that are listed: those that lag or bring most. */
const LISTED = 50;

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
    quarantine: tile("In quarantine", "#/quarantine"), errors: tile("Failures", "#/queues?state=dead"),
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

  if (!(await get("/v1/sources", { limit: 1 }, signal)).items.length) {
    put(body, h("div", { class: "panel" }, firstSteps()));
    repeat(async () => {
      if ((await get("/v1/sources", { limit: 1 }, signal)).items.length) render(root, { session, signal });
    }, 3000, signal, problem.show);
    return;
  }
  const listed = h("p", { class: "about" });
  put(body, h("div", { class: "tiles" }, Object.values(tiles)),
    section("Records a second", rates), section("Sources", listed, sources));
  const chart = await liveChart(rates, "Records in and rows stored, a second, over the last minutes",
    ["In", "Stored"], 100);
  signal.addEventListener("abort", () => chart.end());

  const look = async () => {
    const [list, queues] = await Promise.all([
      all("/v1/sources", { rates: true, limit: 100 }, signal, MOST),
      isPlatform ? get("/v1/queues", {}, signal) : null,
    ]);
    const sum = (read) => list.reduce((total, item) => total + read(item), 0);
    const [input, stored] = [sum((item) => item.rates.records_per_second), sum((item) => item.rates.stored_per_second)];
    const lag = Math.max(0, ...list.map((item) => item.lag_seconds));
    const counted = list.isCut ? `; of the first ${count(list.length)} sources` : "";
    tiles.in.set(short(input), input, `${bytes(Math.round(sum((item) => item.rates.bytes_per_second)))}/s${counted}`);
    tiles.stored.set(short(stored), stored, `over the last minute${counted}`);
    tiles.lag.set(duration(lag), lag, (lag ? "the oldest record not stored yet" : "all is stored") + counted,
      lag > 60 ? "warn" : "");
    if (queues) {
      const waiting = queues.items.reduce((total, queue) => total + queue.ready + queue.running, 0);
      const paused = queues.items.filter((queue) => queue.paused).map((queue) => queue.name);
      tiles.queue.set(count(waiting), waiting, paused.length ? `paused: ${paused.join(", ")}` : "in all queues",
        paused.length ? "warn" : "");
    }
    const order = [...list].sort((one, other) => other.lag_seconds - one.lag_seconds
      || other.rates.records_per_second - one.rates.records_per_second || (one.name < other.name ? -1 : 1));
    sources.update(order.slice(0, LISTED));
    say(listed, list.length > LISTED
      ? `The ${LISTED} of ${count(list.length)}${list.isCut ? " or more" : ""} that lag or bring most.` : "");
    listed.hidden = list.length <= LISTED;
    chart.push(new Date().toISOString().slice(11, 19), [input, stored]);
  };
  repeat(look, 3000, signal, problem.show);

  const faults = async () => {
    const datasets = await all("/v1/datasets", { quarantined: true, limit: 100 }, signal, MOST);
    const records = datasets.reduce((total, item) => total + item.quarantined, 0);
    const open = datasets.filter((item) => item.quarantined).length;
    const beyond = datasets.some((item) => item.quarantined >= COUNTED) ? "+" : "";
    tiles.quarantine.set(count(records) + beyond, 0, (open ? `of ${plural(open, "dataset")}` : "nothing")
      + (datasets.isCut ? `; the first ${count(datasets.length)} datasets are counted` : ""), records ? "warn" : "");
    const [dead, failed] = await Promise.all([
      get("/v1/jobs", { state: "dead", limit: 100 }, signal), get("/v1/runs", { state: "failed", limit: 100 },
        signal)]);
    const number = dead.items.length + failed.items.length;
    tiles.errors.set(`${count(number)}${dead.next_cursor || failed.next_cursor ? "+" : ""}`, 0,
      `${plural(dead.items.length, "job")}, ${plural(failed.items.length, "run")}`, number ? "bad" : "");
    tiles.errors.href = dead.items.length || !failed.items.length ? "#/queues?state=dead" : "#/runs?state=failed";
  };
  repeat(faults, 15000, signal, problem.show);
}
