// How the page's parts are made. All text goes in as text: nothing that a server, a metric or a label says is ever read as HTML.

/** h makes an element; attributes that are null, undefined or false are left out. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

/** table makes a table in a box that scrolls by itself; columns are {title, number, short}, or false, which leaves their cells out; rows are lists of cells or of {cells, current}. The first cell heads its row. */
export function table(caption, columns, rows, none) {
  if (rows.length === 0) return h("p", { class: "lead" }, none);
  const cell = (content, i) =>
    columns[i] && (i === 0 ? h("th", { scope: "row" }, h("span", { class: columns[i].short ? "short" : "long" }, content)) : h("td", { class: columns[i].number ? "number" : "text" }, content));
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { class: "data" },
      h("caption", null, caption),
      h("thead", null, h("tr", null, columns.map((c) => c && h("th", { scope: "col", class: c.number ? "number" : null }, c.title)))),
      h("tbody", null, rows.map((r) => h("tr", { "aria-current": r.current ? "true" : null }, (r.cells ?? r).map(cell))))));
}

/** facts makes a list of names and values, those without a value left out. */
export function facts(pairs) {
  return h("dl", { class: "facts" },
    pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value, big]) => h("div", null, h("dt", null, name), h("dd", { class: big ? "big" : null }, value))));
}

/** number writes a value with four digits and k, M, G or T. */
export function number(v) {
  if (v === null || v === undefined) return "unknown";
  const size = Math.abs(v);
  for (const [unit, at] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    if (size >= at) return digits(v / (unit === "k" ? 1e3 : at)) + " " + unit;
  }
  return size !== 0 && size < 1e-4 ? v.toExponential(2) : digits(v);
}

const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
const digits = (v) => plain.format(v);

export const count = (n) => n.toLocaleString("en");

export const percent = (v) => (v === null || v === undefined ? "unknown" : (100 * v).toFixed(1).replace(/\.0$/, "") + " %");

/** ago writes an age in seconds. */
export function ago(seconds) {
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h" : Math.round(seconds / 86400) + " d";
}

export const since = (time) => ago(Math.max(0, (Date.now() - Date.parse(time)) / 1000)) + " ago";

/** span shortens Go's durations: 30m0s to 30 min. */
export const span = (text) => (text ?? "").replace(/^(\d+)h0m0s$/, "$1 h").replace(/^(\d+)m0s$/, "$1 min").replace(/^(\d+)s$/, "$1 s");

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const at = (seconds) => clock.format(new Date(seconds * 1000));
export const when = (time) => full.format(new Date(time));

/** pager makes the buttons between parts of a long list. */
export function pager(what, told, shown, go) {
  if (told.offset === 0 && shown === told.matched) return null;
  const step = 100;
  const last = told.offset + shown;
  return h("nav", { class: "pager", "aria-label": `Parts of the ${what}` },
    h("button", { type: "button", "data-key": "previous", disabled: told.offset === 0, onclick: () => go(Math.max(0, told.offset - step)) }, "Previous"),
    `${count(Math.min(told.offset + 1, last))} to ${count(last)} of ${count(told.matched)}`,
    h("button", { type: "button", "data-key": "next", disabled: last >= told.matched, onclick: () => go(last) }, "Next"));
}
