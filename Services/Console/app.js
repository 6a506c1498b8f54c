// The shell: who is signed in, the navigation, and which page is shown. A page is `{title, render(root, context)}`;
// `context` has the path's rest, the query, the session, and a signal that ends with the page.

import { h, put, announce } from "/console/dom.js";
import { send, signedOut, Problem } from "/console/api.js";
import { errorPlace, empty, fault } from "/console/ui.js";
import { time } from "/console/format.js";

const PAGES = [
  ["overview", "Overview", () => import("/console/pages/overview.js")],
  ["sources", "Sources", () => import("/console/pages/sources.js")],
  ["datasets", "Datasets", () => import("/console/pages/datasets.js")],
  ["pipelines", "Pipelines", () => import("/console/pages/pipelines.js")],
  ["quarantine", "Quarantine", () => import("/console/pages/quarantine.js")],
  ["runs", "Runs", () => import("/console/pages/runs.js")],
  ["queues", "Queues and jobs", () => import("/console/pages/queues.js")],
  ["rollups", "Rollups", () => import("/console/pages/rollups.js")],
  ["query", "Query", () => import("/console/pages/query.js")],
  ["endpoints", "Endpoints", () => import("/console/pages/endpoints.js")],
  ["dashboards", "Dashboards", () => import("/console/pages/dashboards.js")],
  ["keys", "Keys", () => import("/console/pages/keys.js")],
];

const app = document.getElementById("app");
let session = null;
let leaving = null;

/** The page's name, the rest of its path, and its query, from the part of the address after `#`. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  return { name: name || "overview", rest: rest.filter(Boolean), query: new URLSearchParams(query || "") };
}

function mark() {
  return h("span", { class: "mark" }, h("img", { src: "/console/icon.svg", alt: "", width: 24, height: 24 }),
    "Millrace");
}

function showSignIn(message) {
  leaving?.abort();
  leaving = null;
  session = null;
  document.title = "Sign in · Millrace";
  const key = h("input", {
    id: "key", name: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true,
    "aria-describedby": "key-hint",
  });
  const problem = errorPlace();
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  problem.show(message || null);

  async function signIn(event) {
    event.preventDefault();
    button.disabled = true;
    problem.show(null);
    try {
      session = (await send("POST", "/v1/session", { body: { key: key.value.trim() } })).data;
      key.value = "";
      showShell();
    } catch (error) {
      problem.show(error.status === 401 ? "That key is not valid." : error);
      key.select();
    } finally {
      button.disabled = false;
    }
  }

  put(app, h("main", { id: "main", class: "signin" },
    h("form", { class: "card", onsubmit: signIn }, mark(),
      h("h1", {}, "Sign in"),
      h("div", { class: "field" }, h("label", { for: "key" }, "API key"), key,
        h("small", { id: "key-hint" }, "It is exchanged for a cookie that no script can read, and kept nowhere. ",
          "On one machine it is in MILLRACE_HOME, in the file admin-key.")),
      problem, button)));
  key.focus();
}

async function signOut() {
  try {
    await send("DELETE", "/v1/session");
  } catch (error) {
    announce(fault(error));
    return;
  }
  // Whoever signs in next in this tab may be somebody else; a session that only ends keeps what was being written.
  sessionStorage.clear();
  showSignIn();
  announce("Signed out");
}

function showShell() {
  const links = PAGES.map(([name, title]) => h("a", { href: `#/${name}`, "data-page": name }, title));
  const menu = h("button", {
    type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "navigation",
    onclick: () => {
      const open = menu.getAttribute("aria-expanded") !== "true";
      menu.setAttribute("aria-expanded", String(open));
      navigation.classList.toggle("open", open);
    },
  }, "Menu");
  const navigation = h("nav", { id: "navigation", "aria-label": "Pages" }, links);
  navigation.addEventListener("click", () => {
    menu.setAttribute("aria-expanded", "false");
    navigation.classList.remove("open");
  });
  put(app, h("div", { class: "shell" },
    h("header", { class: "bar" }, mark(), menu,
      h("div", { class: "who" },
        h("span", { title: `Scopes: ${session.scopes.join(", ")}. Until ${time(session.expires_at)} UTC` },
          h("span", { class: "unseen" }, "Workspace "), session.workspace),
        h("button", { type: "button", class: "small", onclick: signOut }, "Sign out"))),
    navigation, h("main", { id: "main", tabindex: "-1" })));
  showPage(false);
}

async function showPage(isMoved) {
  if (!session) return;
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { name, rest, query } = place();
  const entry = PAGES.find((page) => page[0] === name);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: "page" });
  const main = document.getElementById("main");
  if (!entry) {
    put(main, empty("There is no such page", null, h("a", { href: "#/overview" }, "Go to the overview")));
    return;
  }
  document.title = `${[...rest].reverse().concat(entry[1]).join(" · ")} · Millrace`;
  put(main, root);
  try {
    const page = await entry[2]();
    if (signal.aborted) return;
    await page.render(root, { rest, query, session, signal });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    const problem = errorPlace();
    problem.show(error);
    put(root, h("h1", { tabindex: "-1" }, entry[1]), problem);
  }
  if (isMoved && !signal.aborted) (root.querySelector("h1") || main).focus();
}

signedOut.addEventListener("end", () => {
  if (session) showSignIn("The session has ended. Sign in again.");
});
addEventListener("hashchange", () => showPage(true));
// Charts are drawn in the colours that the page had.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showPage(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  (document.querySelector("main h1") || document.getElementById("main")).focus();
});

try {
  session = (await send("GET", "/v1/session")).data;
  showShell();
} catch (error) {
  showSignIn(error instanceof Problem && error.status !== 401 ? fault(error) : null);
}
