// Parts that pages are made of.

import { h, put, say, svg, announce, freshId } from "/console/dom.js";
import { Problem, get } from "/console/api.js";
import { count, duration } from "/console/format.js";

/** What went wrong, in words that name the fault. */
export function fault(error) {
  if (!(error instanceof Problem)) {
    console.warn(error);
    return "Something went wrong in the console itself.";
  }
  const details = error.errors.filter((one) => !error.message.includes(one.message))
    .map((one) => `${one.path}: ${one.message}`).join("; ");
  return error.message + (details ? ` (${details})` : "");
}

/** A place for what went wrong, which screen readers hear. */
export function errorPlace() {
  const place = h("div", { class: "error", role: "alert", hidden: true });
  place.show = (error) => {
    place.hidden = !error;
    say(place, error ? (typeof error === "string" ? error : fault(error)) : "");
  };
  return place;
}

/** The head of a page: its title and what can be done there. */
export function pageHead(title, about, ...actions) {
  return h("header", { class: "head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), about && h("p", { class: "about" }, about)),
    actions.length ? h("div", { class: "actions" }, actions) : null);
}

export function section(title, ...children) {
  const id = freshId("section");
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), children);
}

/** Terms and what they are: `[[term, text or node]]`. */
export function factList(entries) {
  return fillFacts(h("dl", { class: "facts" }), entries);
}

/** Fills the list again. */
export function fillFacts(list, entries) {
  return put(list, entries.map(([term, what]) => h("div", {}, h("dt", {}, term), h("dd", {}, what))));
}

/** What is shown where there is nothing yet: why, and the next step. */
export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), text && h("p", {}, text), more);
}

/** A command to be copied. */
export function command(text) {
  const button = h("button", {
    type: "button", class: "small",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        announce("Copied");
        say(button, "Copied");
      } catch {
        getSelection().selectAllChildren(code);
      }
    },
  }, "Copy");
  const code = h("pre", { tabindex: "0", "aria-label": "Command" }, text);
  return h("div", { class: "command" }, code, button);
}

/** The state of something, told by a word and a colour. */
export function badge(state) {
  const kinds = {
    stored: "good", succeeded: "good", ready: "calm", running: "busy", transformed: "busy", accepted: "busy",
    filled: "good", backfilling: "busy", preparing: "calm",
    queued: "calm", deferred: "calm", waiting: "calm", blocked: "calm", paused: "warn", failed: "bad", dead: "bad",
    cancelled: "warn", active: "good", expired: "warn", revoked: "warn", timed_out: "bad", superseded: "calm",
  };
  return h("span", { class: `badge ${kinds[state] || "calm"}` }, String(state).replaceAll("_", " "));
}

export function progress(done, total, label) {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  return h("progress", { max: "1", value: String(share), "aria-label": label }, `${Math.round(share * 100)} %`);
}

/**
 * Shows in `place`, from a moment on, for how long work has been going on of which nobody knows how long it takes, and
 * a button that stops it. Until `end()`; `signal` of the answer aborts by the button, by `stop()`, or with the page's.
 */
export function working(place, text, signal) {
  const mine = new AbortController();
  const stop = () => mine.abort();
  signal.addEventListener("abort", stop, { signal: mine.signal });
  const began = performance.now();
  const clock = h("span", { role: "timer", class: "about" }, "0 s");
  const bar = h("div", { class: "working", hidden: true }, h("span", { role: "status" }, text), clock,
    h("progress", { "aria-label": text }), h("button", { type: "button", class: "small", onclick: stop }, "Stop"));
  const ticking = setInterval(() => {
    bar.hidden = false;
    say(clock, duration(Math.floor((performance.now() - began) / 1000)));
  }, 250);
  const end = () => {
    clearInterval(ticking);
    bar.remove();
  };
  mine.signal.addEventListener("abort", end, { once: true });
  put(place, bar);
  return { signal: mine.signal, stop, end };
}

function classes({ numeric, mono, isWhole }) {
  return [numeric && "number", mono && "mono", isWhole && "whole"].filter(Boolean).join(" ") || null;
}

/**
 * A table whose rows stay where they are while it is filled again: `update(items)` changes only cells that differ, so
 * that focus, selection and scrolling are kept. A column is `{title, text(item)}` or `{title, node(item), key(item)}`,
 * whose node is made anew when the key differs; `numeric` aligns it, `isWhole` keeps it on one line. Where the items
 * are not all, it says so.
 */
export function liveTable(caption, columns, keyOf) {
  const body = h("tbody");
  const table = h("table", {},
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, columns.map((column) =>
      h("th", { scope: "col", class: column.numeric ? "number" : null },
        column.title || h("span", { class: "unseen" }, "Actions"))))),
    body);
  const rows = new Map();
  const note = h("p", { class: "about", hidden: true });
  const frame = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, table, note);

  function draw(row, item) {
    columns.forEach((column, at) => {
      const key = column.text ? String(column.text(item)) : String(column.key ? column.key(item) : keyOf(item));
      if (row.keys[at] === key) return;
      row.keys[at] = key;
      if (column.text) say(row.cells[at], key);
      else put(row.cells[at], column.node(item));
    });
  }

  frame.update = (items) => {
    note.hidden = !items.isCut;
    say(note, items.isCut ? `Only these ${count(items.length)} are shown; there are more.` : "");
    const seen = new Set();
    items.forEach((item, at) => {
      const key = keyOf(item);
      seen.add(key);
      let row = rows.get(key);
      if (!row) {
        const cells = columns.map((column, index) => h(index === 0 && column.isName ? "th" : "td", {
          class: classes(column),
          scope: index === 0 && column.isName ? "row" : null,
        }));
        row = { cells, keys: [], element: h("tr", {}, cells) };
        rows.set(key, row);
      }
      draw(row, item);
      if (body.children[at] !== row.element) body.insertBefore(row.element, body.children[at] || null);
    });
    for (const [key, row] of rows) {
      if (seen.has(key)) continue;
      row.element.remove();
      rows.delete(key);
    }
  };
  return frame;
}

/** A small line of the last readings; what it shows is told by the figure beside it. */
export function sparkline(values) {
  const [width, height] = [120, 28];
  const top = Math.max(...values, 1e-9);
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map((value, at) =>
    `${(at * step).toFixed(1)} ${(height - 2 - value / top * (height - 4)).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none",
    "aria-hidden": "true" },
    line && svg("path", { class: "under", d: `${line}L${width} ${height}L0 ${height}Z` }),
    line && svg("path", { class: "line", d: line }));
}

/** A labelled field of a form. */
export function field(label, control, hint) {
  const id = control.id || freshId("field");
  control.id = id;
  const hintId = hint ? freshId("hint") : null;
  if (hintId) control.setAttribute("aria-describedby", hintId);
  return h("div", { class: "field" }, h("label", { for: id }, label), control,
    hint && h("small", { id: hintId }, hint));
}

export function select(options, chosen, attributes) {
  return h("select", { ...attributes },
    options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
}

/**
 * A dialog with a form; resolves to what `read` returns when it is agreed to, and to null when not. What `read` throws
 * or refuses is shown in the dialog, which stays.
 */
export function ask({ title, text, fields = [], action, danger = false, read = () => true }) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const titleId = freshId("dialog");
    const problem = errorPlace();
    const agree = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
    let result = null;
    const dialog = h("dialog", { "aria-labelledby": titleId },
      h("form", {
        method: "dialog",
        onsubmit: async (event) => {
          event.preventDefault();
          if (agree.disabled) return;
          agree.disabled = true;
          problem.show(null);
          try {
            result = await read();
            dialog.close();
          } catch (error) {
            problem.show(error);
          } finally {
            agree.disabled = false;
          }
        },
      },
      h("h2", { id: titleId }, title), text && h("p", {}, text), fields, problem,
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), agree)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before && before.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks before something that cannot be undone; `name` must be typed where it is given. */
export function confirmDanger(title, text, action, name) {
  if (!name) return ask({ title, text, action, danger: true });
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", required: true });
  return ask({
    title, text, action, danger: true, fields: [field(`Type ${name} to confirm`, input)],
    read: () => {
      if (input.value !== name) throw new Problem(0, { detail: `That is not ${name}.` });
      return true;
    },
  });
}

/** Tabs over panels that are made when they are first shown: `[[id, title, make]]`. */
export function tabs(label, entries, chosen, changed) {
  const panel = h("div", { role: "tabpanel", class: "tabpanel" });
  const made = new Map();
  const buttons = entries.map(([id, title]) => h("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "tabpanel", onclick: () => choose(id, true),
  }, title));
  panel.id = "tabpanel";
  const list = h("div", {
    role: "tablist", "aria-label": label,
    onkeydown: (event) => {
      const at = buttons.indexOf(document.activeElement);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + buttons.length, Home: 0, End: -1 + buttons.length,
      }[event.key] % buttons.length;
      if (Number.isNaN(next)) return;
      event.preventDefault();
      choose(entries[next][0], true);
      buttons[next].focus();
    },
  }, buttons);

  function choose(id, isUser) {
    const at = Math.max(0, entries.findIndex((entry) => entry[0] === id));
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === at));
      button.tabIndex = index === at ? 0 : -1;
    });
    const [key, , make] = entries[at];
    panel.setAttribute("aria-labelledby", `tab-${key}`);
    if (!made.has(key)) made.set(key, make());
    put(panel, made.get(key));
    if (isUser && changed) changed(key);
  }

  choose(chosen, false);
  return h("div", {}, list, panel);
}

/** Hides a button that has nothing more to do; who has just pressed it by keyboard stays near. */
function retire(more, isOver) {
  const before = more.previousElementSibling;
  if (isOver && before && more.contains(document.activeElement)) {
    if (!before.hasAttribute("tabindex")) before.tabIndex = -1;
    before.focus({ preventScroll: true });
  }
  more.hidden = isOver;
}

/** A list that goes on by a button: `load(cursor)` answers `{items, next_cursor}`, `show(items)` gets all so far. */
export function pager(load, show, problem) {
  const items = [];
  let cursor = null;
  const button = h("button", { type: "button", onclick: () => next() }, "Show more");
  const more = h("div", { class: "more", hidden: true }, button);
  let isLoading = false;

  async function next() {
    if (isLoading) return;
    isLoading = true;
    try {
      const page = await load(cursor);
      items.push(...page.items);
      cursor = page.next_cursor;
      show(items, Boolean(cursor));
      problem.show(null);
      retire(more, !cursor);
    } catch (error) {
      if (error.name !== "AbortError") problem.show(error);
    } finally {
      isLoading = false;
    }
  }

  next();
  return more;
}

/** Pages that a list which is looked at again and again may have, so that looking again stays cheap. */
const PAGES = 20;

/**
 * A list whose first pages are loaded again and again: `load()` gives their items, `more` is a button that adds a page
 * and looks again by `refresh`. `query()` is what is asked for; when that changes, the first page is enough again.
 */
export function growing(target, query, signal, refresh) {
  let wanted = 1;
  let last = "";
  const button = h("button", { type: "button", onclick: () => {
    wanted += 1;
    refresh();
  } }, "Show more");
  const more = h("div", { class: "more", hidden: true }, button);
  return {
    more,
    async load() {
      const asked = JSON.stringify(query());
      if (asked !== last) wanted = 1;
      last = asked;
      const items = [];
      let cursor = null;
      let page = 0;
      do {
        const found = await get(target, { limit: 100, ...JSON.parse(asked), cursor }, signal);
        items.push(...found.items);
        cursor = found.next_cursor;
        page += 1;
      } while (cursor && page < wanted);
      retire(more, !cursor || wanted >= PAGES);
      items.isCut = Boolean(cursor) && wanted >= PAGES;
      items.hasMore = Boolean(cursor);
      return items;
    },
  };
}
