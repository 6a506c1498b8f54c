// Keys: what requests are authenticated by. A key's text is shown once, by the dialog that made it, and kept nowhere.

import { h, put, announce } from "/console/dom.js";
import { all, get, path, send } from "/console/api.js";
import { count, time } from "/console/format.js";
import { repeat } from "/console/live.js";
import { ask, badge, command, confirmDanger, empty, errorPlace, field, liveTable, pageHead,
  select } from "/console/ui.js";

const LIFETIMES = [["90d", "90 days"], ["30d", "30 days"], ["1d", "1 day"], ["365d", "1 year"], ["", "never"]];
const OVERLAPS = [["24h", "24 hours"], ["1h", "1 hour"], ["7d", "7 days"], ["0s", "not at all"]];
const LIMITS = [["requests_per_second", "Requests a second"], ["requests_per_day", "Requests a day"],
  ["bytes_per_day", "Bytes a day"]];

export async function render(root, { signal }) {
  const problem = errorPlace();
  const place = h("div", { class: "panel" });
  const state = select([["active", "Active"], ["expired", "Expired"], ["revoked", "Revoked"], ["", "All"]], "active",
    { "aria-label": "State of keys", onchange: () => refresh() });
  const table = liveTable("Keys, in the order they were made", [
    { title: "Name", isName: true, text: (item) => item.name },
    { title: "Begins", mono: true, text: (item) => item.prefix },
    { title: "Scopes", text: (item) => item.scopes.join(", ") },
    { title: "Limits", text: (item) => LIMITS.filter(([name]) => item.limits[name])
      .map(([name, label]) => `${count(item.limits[name])} ${label.toLowerCase()}`).join(", ") || "none" },
    { title: "State", key: (item) => item.state, node: (item) => badge(item.state) },
    { title: "Last used", isWhole: true,
      text: (item) => (item.last_used_at ? time(item.last_used_at).slice(0, 13) + "h" : "never") },
    { title: "Expires", isWhole: true, text: (item) => (item.expires_at ? time(item.expires_at) : "never") },
    { title: "", key: (item) => item.state + item.version, node: (item) => actions(item) },
  ], (item) => item.id);
  put(root, pageHead("Keys", "Each key does what its scopes allow, in this workspace.", state,
    h("button", { type: "button", class: "primary", onclick: make }, "Make a key…")), problem, place);

  const refresh = repeat(async () => {
    const items = await all("/v1/keys", { state: state.value || null }, signal);
    table.update(items);
    if (!items.length) put(place, empty("No key is in this state", null));
    else if (!place.contains(table)) put(place, table);
  }, 10000, signal, problem.show);

  function actions(item) {
    if (item.state !== "active") return h("span", {});
    const named = h("span", { class: "unseen" }, ` ${item.name}`);
    return h("div", { class: "actions" },
      h("button", { type: "button", class: "small", onclick: () => rotate(item) }, "Rotate…", named),
      h("button", { type: "button", class: "small danger", onclick: () => revoke(item) }, "Revoke…",
        named.cloneNode(true)));
  }

  async function make() {
    let known;
    try {
      known = await scopes(signal);
    } catch (error) {
      problem.show(error);
      return;
    }
    const name = h("input", { type: "text", required: true, maxlength: 100, autocomplete: "off" });
    const boxes = known.map((one) => [one, h("input", { type: "checkbox", id: `scope-${one.name}` })]);
    const pattern = h("input", { type: "text", pattern: "[a-z0-9_*]{1,64}", autocomplete: "off", spellcheck: "false",
      placeholder: "web_*" });
    const lifetime = select(LIFETIMES, "90d");
    const limits = LIMITS.map(([limit, label]) => [limit, label, h("input", { type: "number", min: 1, step: 1 })]);
    const made = await ask({
      title: "Make a key",
      fields: [field("Name", name, "Who or what uses it."),
        h("fieldset", { class: "scopes" }, h("legend", {}, "Scopes"), boxes.map(([one, box]) =>
          h("label", { for: box.id }, box, one.name))),
        field("Only names like", pattern, "Narrows the scopes that are about named things; * stands for anything."),
        field("Expires", lifetime), limits.map(([, label, input]) => field(label, input, "No limit if left empty."))],
      action: "Make the key",
      read: async () => {
        const chosen = boxes.filter(([, box]) => box.checked).map(([one]) =>
          (pattern.value && one.canBeNarrowed ? `${one.name}/${pattern.value}` : one.name));
        const given = limits.filter(([, , input]) => input.value).map(([limit, , input]) =>
          [limit, Number(input.value)]);
        return (await send("POST", "/v1/keys", {
          body: { name: name.value, scopes: chosen, expires_in: lifetime.value || null,
            limits: Object.fromEntries(given) },
          headers: { "Idempotency-Key": crypto.randomUUID() },
        })).data;
      },
    });
    if (made) await show(made);
  }

  async function rotate(item) {
    const overlap = select(OVERLAPS, "24h");
    const made = await ask({
      title: `Rotate ${item.name}?`, text: "Another key takes its place, with the same scopes, limits and end.",
      fields: [field("The old one goes on for", overlap)], action: "Rotate the key",
      read: async () => (await send("POST", path`/v1/keys/${item.id}/rotate`, {
        body: { overlap: overlap.value },
        headers: { "Idempotency-Key": crypto.randomUUID(), "If-Match": `"v${item.version}"` },
      })).data,
    });
    if (made) await show(made);
  }

  async function revoke(item) {
    if (!await confirmDanger(`Revoke ${item.name}?`, "Whoever uses it gets 401 within ten seconds.",
      "Revoke the key")) return;
    try {
      await send("DELETE", path`/v1/keys/${item.id}`);
      announce(`${item.name} is revoked`);
      problem.show(null);
    } catch (error) {
      problem.show(error);
    }
    refresh();
  }

  /** The key itself, this once. It leaves the page with the dialog. */
  async function show(made) {
    refresh();
    await ask({
      title: `The key ${made.name}`, text: "It is shown this once. Copy it now; what is kept is its hash.",
      fields: [command(made.key)], action: "I have it",
    });
    announce("The key is no longer shown");
  }
}

/** The scopes there are, out of the API's own description, and which of them can be narrowed to names. */
async function scopes(signal) {
  const document = await get("/openapi.json", {}, signal);
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
  const request = document.paths["/v1/keys"].post.requestBody.content["application/json"].schema;
  const allowed = new RegExp(request.properties.scopes.items.pattern);
  const names = new Set(operations.map((one) => one["x-scope"]).filter(Boolean));
  return [...names].sort().map((name) => ({ name, canBeNarrowed: allowed.test(`${name}/a`) }));
}
