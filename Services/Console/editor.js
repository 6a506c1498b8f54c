// The SQL editor: CodeMirror from Debian's package, with completion of the workspace's tables and columns.

import { h } from "/console/dom.js";
import { all, get, path } from "/console/api.js";

const BASE = "/console-libraries/codemirror";
let loading = null;

/** CodeMirror and its parts put themselves into the page; the order matters. */
async function load() {
  loading ||= (async () => {
    await import(`${BASE}/lib/codemirror.js`);
    await import(`${BASE}/mode/sql/sql.js`);
    await import(`${BASE}/addon/hint/show-hint.js`);
    await import(`${BASE}/addon/hint/sql-hint.js`);
    return window.CodeMirror;
  })();
  return loading;
}

/** Tables and columns, for completion: `learn(text)` asks for the columns of the tables that a statement names. */
export async function schemaOf(signal) {
  const items = await all("/v1/datasets", {}, signal, 1000);
  const tables = Object.fromEntries(items.map((item) => [item.name, []]));
  const asked = new Set();
  const learn = async (text) => {
    const names = new Set(text.match(/[a-z][a-z0-9_]*/g) || []);
    await Promise.all([...names].filter((name) => Object.hasOwn(tables, name) && !asked.has(name)).map(async (name) => {
      asked.add(name);
      const found = await get(path`/v1/datasets/${name}`, {}, signal);
      tables[name] = found.columns.filter((column) => column.state === "applied").map((column) => column.name);
    }));
  };
  return { tables, learn };
}

/** An editor in `place`: `{text(), set(text), fault(position), focus(), tables}`. */
export async function sqlEditor(place, { label, text, run, changed, tables }) {
  const CodeMirror = await load();
  const editor = CodeMirror(place, {
    value: text, mode: "text/x-pgsql", lineNumbers: true, lineWrapping: true, inputStyle: "contenteditable",
    screenReaderLabel: label, viewportMargin: Infinity, hintOptions: { tables, completeSingle: false },
    extraKeys: {
      "Ctrl-Enter": run, "Cmd-Enter": run, "Ctrl-Space": "autocomplete",
      // Tab leaves the editor, as it leaves any other field.
      Tab: false, "Shift-Tab": false,
    },
  });
  let mark = null;
  editor.on("change", (_, change) => {
    mark?.clear();
    mark = null;
    changed(editor.getValue());
    const typed = change.origin === "+input" ? change.text.join("\n") : "";
    if (/^[A-Za-z_.]$/.test(typed) && !editor.state.completionActive) editor.showHint();
  });
  return {
    text: () => editor.getValue(),
    set: (value) => editor.setValue(value),
    focus: () => editor.focus(),
    refresh: () => editor.refresh(),
    /** Marks the place of an error: `position` counts characters from 1, and a character is a code point. */
    fault(position) {
      const before = [...editor.getValue()].slice(0, position - 1).join("").length;
      const from = editor.posFromIndex(before);
      const word = /^(\w+|[^\s]|\s*$)/.exec(editor.getLine(from.line).slice(from.ch))?.[0].length || 1;
      mark = editor.markText(from, { line: from.line, ch: from.ch + word }, { className: "cm-fault" });
      if (!mark.find()) mark = null;
      editor.setCursor(from);
      return { line: from.line + 1, column: from.ch + 1 };
    },
  };
}

/** Where the editor is to be. */
export function editorPlace() {
  return h("div", { class: "editor" });
}
