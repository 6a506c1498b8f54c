// The platform's own API, which the session's cookie is sent to by the browser.

/** What a service refused, as its problem+json says it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.code = body.code || "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.position = Number.isInteger(body.position) ? body.position : null;
    this.sqlstate = body.sqlstate || null;
    this.body = body;
  }
}

/** What is told of a session that is no more: the shell shows the sign-in. */
export const signedOut = new EventTarget();

/** A path with its names encoded: path`/v1/datasets/${name}`. */
export function path(parts, ...names) {
  return parts.map((part, at) => part + (at < names.length ? encodeURIComponent(names[at]) : "")).join("");
}

/** The answer to a request: `{data, etag, status}`. Throws `Problem`; `AbortError` where the page was left. */
export async function send(method, target, { body, query, headers, signal } = {}) {
  const given = Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== null);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const fields = { Accept: "application/json", ...headers };
  if (body !== undefined) fields["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(target + search, {
      method, headers: fields, signal, credentials: "same-origin", redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server cannot be reached.", code: "unreachable" });
  }
  const text = await answer.text();
  const data = parsed(text);
  if (!answer.ok) {
    if (answer.status === 401 && target !== "/v1/session") signedOut.dispatchEvent(new Event("end"));
    throw new Problem(answer.status, data && typeof data === "object" ? data : {});
  }
  return { data, etag: answer.headers.get("ETag"), status: answer.status };
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** The JSON of a GET. */
export async function get(target, query, signal) {
  return (await send("GET", target, { query, signal })).data;
}

export async function post(target, body, options = {}) {
  return (await send("POST", target, { body, ...options })).data;
}

/** All items of a list, page by page, up to `most`; `isCut` of the array says that there are more. */
export async function all(target, query, signal, most = 1000) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(target, { limit: Math.min(most, 500), ...query, cursor }, signal);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  items.isCut = Boolean(cursor);
  return items;
}
