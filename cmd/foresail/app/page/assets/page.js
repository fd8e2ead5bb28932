// Foresail's page: one view by the address behind #, drawn anew every ten seconds.
import { h, table, facts, number, count, percent, ago, since, span, when, pager } from "./dom.js";
import { chart } from "./chart.js";

const main = document.getElementById("main");
const alert = document.getElementById("alert");
const refresh = document.getElementById("refresh");

const reasons = {
  trusted: ["trusted", "good", "the forecast is served"],
  warming_up: ["warming up", "wait", "too little history; the live value is served"],
  no_skill: ["no skill", "bad", "over a week a naive forecast was better; the live value is served"],
  miscalibrated: ["miscalibrated", "bad", "the .9 quantile was exceeded far too often, or nearly never and at a cost; the live value is served"],
  level_shift: ["level shift", "bad", "the load changed to what was never seen; the live value is served"],
  gap: ["gap", "wait", "the newest step has no value; the rest of the last trusted forecast is served"],
  stale_input: ["stale input", "bad", "no recent sample"],
  disabled: ["disabled", "", "the rule wants it shown and not served; the live value is served"],
};

async function ask(path, parameters) {
  const response = await fetch(`api/v1alpha/${path}?${new URLSearchParams(parameters)}`, { signal: AbortSignal.timeout(65000) });
  const json = response.headers.get("Content-Type")?.startsWith("application/json");
  if (!response.ok && !json) throw new Error((await response.text()).trim() || response.statusText);
  return response.json();
}

const pill = (reason, n) => {
  const [text, kind, why] = reasons[reason] ?? [reason, "", ""];
  return h("span", { class: "pill " + kind, title: why }, n > 1 ? `${text}, ${count(n)} series` : text);
};

const link = (view, parameters, text, current) =>
  h("a", { href: `#/${view}?${new URLSearchParams(parameters)}`, "aria-current": current ? "true" : null }, text);

/** values writes what a metric's series come to: a sum where the autoscaler adds them up. */
const values = (spread, external) => {
  if (!spread || spread.series === 0) return "unknown";
  if (spread.series === 1 || (!external && spread.low === spread.high)) return number(spread.low);
  return external ? [number(spread.sum), h("span", { class: "small" }, `sum of ${count(spread.series)} series`)] : `${number(spread.low)} to ${number(spread.high)}`;
};

const states = (forecast) => {
  if (!forecast) return h("span", { class: "small" }, "no forecast");
  const told = Object.entries(forecast.states ?? {}).sort();
  return told.length > 0 ? told.map(([reason, n]) => pill(reason, n)) : h("span", { class: "small" }, "no series yet");
};

const problemOf = (m) => m.problem && h("span", { class: "problem" }, m.problem);

// Each view has a title, what it asks for, and what it makes of the answer.

const metricsView = {
  title: () => "Metrics",
  ask: (p) => ask("page/metrics", { q: p.q ?? "", state: p.state ?? "", offset: p.offset ?? 0 }),
  frame: (p, change) => [
    h("p", { class: "lead" }, "What Foresail serves: the value now, the largest value that is forecast within the lead, and whether that is trusted."),
    search(p, change, "Name of the metric", h("label", { class: "field" }, "State",
      h("select", { onchange: (e) => change({ state: e.target.value, offset: 0 }) },
        [["", "any"], ...Object.entries(reasons).map(([k, [text]]) => [k, text]), ["none", "no forecast"], ["problem", "failing"]]
          .map(([value, text]) => h("option", { value, selected: (p.state ?? "") === value }, text))))),
  ],
  told: (a) => `${count(a.matched)} of ${count(a.total)} metrics`,
  body: (a, p, change) => [
    table("Metrics", [{ title: "Metric" }, { title: "Now", number: true }, { title: "Largest ahead", number: true }, { title: "Forecast" }, { title: "Answered" }, { title: "Readers", number: true }],
      a.metrics.map((m) => [
        [link("metric", { metric: m.name, resource: m.resource ?? "" }, m.name), h("span", { class: "small" }, m.resource ? "of " + m.resource : "external")],
        m.live ? values(m.live, !m.resource) : h("span", { class: "small" }, "when read"),
        m.forecast?.windowMax?.series ? [values(m.forecast.windowMax, !m.resource), h("span", { class: "small" }, `P${100 * m.forecast.quantile} in ${span(m.forecast.lead)}`)] : "",
        states(m.forecast),
        [m.ageSeconds === undefined ? "" : ago(m.ageSeconds) + " ago", problemOf(m)],
        count(m.readers),
      ]), a.total ? "No metric matches." : "The config serves no metric."),
    pager("metrics", a, a.metrics.length, (offset) => change({ offset })),
  ],
};

/** search is a form that looks for what is typed, a little later. */
function search(p, change, label, ...more) {
  let soon;
  return h("form", { role: "search", onsubmit: (e) => e.preventDefault() },
    h("label", { class: "field" }, label,
      h("input", { type: "search", value: p.q ?? "", oninput: (e) => { clearTimeout(soon); soon = setTimeout(() => change({ q: e.target.value, offset: 0 }), 250); } })),
    more, h("p", { class: "lead", id: "told", role: "status" }));
}

let drawn = null; // the chart of the metric's view, with the series that it is of

const metricView = {
  title: (p) => p.metric ?? "",
  async ask(p) {
    const name = { metric: p.metric ?? "", resource: p.resource ?? "" };
    const [told, readers] = await Promise.all([
      ask("page/series", { ...name, q: p.q ?? "", offset: p.offset ?? 0 }),
      ask("page/readers", { q: p.metric ?? "" }),
    ]);
    told.chosen = p.series ?? told.series.find((s) => s.forecast)?.series;
    const ofIt = (r) => (r.resource ?? "") === name.resource && [name.metric, told.metric.forecast?.name].some((n) => n?.toLowerCase() === r.metric.toLowerCase());
    told.reads = { ...readers, readers: readers.readers.filter(ofIt), unread: readers.unread.filter(ofIt), unreadMatched: 0 };
    told.history = told.chosen === undefined || !told.metric.forecast ? null : await ask("page/history", { ...name, series: told.chosen }).catch(() => null);
    return told;
  },
  frame: (p, change) => [h("div", { id: "summary" }), search(p, change, "Labels of its series")],
  told: (a) => `${count(a.matched)} of ${count(a.total)} series`,
  body(a, p, change) {
    const m = a.metric;
    document.getElementById("summary").replaceChildren(metricFacts(m));
    document.querySelector("main form").hidden = a.total <= 10;
    return [
      table("Series", [{ title: "Series" }, { title: "Now", number: true }, { title: "In the lead", number: true }, { title: "Largest until then", number: true }, { title: "State" }, { title: "Skill", number: true }, { title: "P90 held", number: true }],
        a.series.map((s) => ({ current: s.series === a.chosen, cells: seriesCells(s, p, a.chosen) })), "The newest answer has no series."),
      pager("series", a, a.series.length, (offset) => change({ offset })),
      a.history ? historyParts(a.history) : h("p", { class: "lead" }, m.forecast ? "No series is chosen that is forecast." : "It is not forecast, so nothing of its past is remembered. With forecast: {} in its rule it is."),
      h("h2", null, "Who reads it"), readersTable(a.reads), unreadTable(a.reads),
      h("p", null, link("read", { metric: m.name, namespace: a.reads.readers[0]?.namespace ?? "" }, "Follow a read of it")),
    ];
  },
};

function metricFacts(m) {
  return h("div", null, facts([
    ["Now", values(m.live, !m.resource), true],
    ["Largest ahead", m.forecast?.windowMax?.series ? values(m.forecast.windowMax, !m.resource) : null, true],
    ["Served as", m.resource ? "metric of " + m.resource : "external metric"],
    ["Rule", m.rule],
    ["Forecast", m.forecast ? m.forecast.name : "none"],
    ["It tells", m.forecast?.lead && `quantile ${m.forecast.quantile} of the largest value in ${span(m.forecast.lead)}`],
    ["Answered", m.ageSeconds === undefined ? "" : ago(m.ageSeconds) + " ago"],
  ]), m.problem && h("p", { class: "notice" }, m.problem));
}

function seriesCells(s, p, chosen) {
  const f = s.forecast;
  const name = s.series === "{}" ? "without labels" : s.series;
  return [
    f ? link("metric", { metric: p.metric, resource: p.resource ?? "", ...(p.q && { q: p.q }), ...(p.offset && { offset: p.offset }), series: s.series }, name, s.series === chosen) : name,
    s.problem ? h("span", { class: "problem" }, s.problem) : number(s.value),
    f?.path ? [number(f.path.p50), h("span", { class: "small" }, `${number(f.path.p10)} to ${number(f.path.p90)}`)] : "",
    f?.path ? number(f.path.windowMax) : "",
    f ? [pill(f.state), f.readyAt && h("span", { class: "small" }, "until about " + when(f.readyAt))] : "",
    f?.skill === undefined ? "" : percent(f.skill),
    f?.coverage === undefined ? "" : percent(f.coverage),
  ];
}

function historyParts(history) {
  const f = history.forecast;
  const id = `${history.metric} ${history.series}`;
  if (drawn?.id === id) drawn.update(history);
  else {
    drawn?.end();
    drawn = Object.assign(chart(history), { id });
  }
  const why = reasons[f.state] ?? [f.state, "", ""];
  return [
    h("h2", null, "Forecast over what came"), drawn.figure,
    h("div", { class: "columns" },
      h("section", null, h("h2", null, "Accuracy by lead"),
        h("p", { class: "lead" }, "Mean absolute errors over about a week, those of the last day before the start included."),
        table("Accuracy by lead", [{ title: "Lead", short: true }, { title: "Error of the median", number: true }, { title: "If nothing changed", number: true }, { title: "Below P90", number: true }, { title: "Forecasts", number: true }],
          history.leads.map((l) => [span(l.lead), number(l.error), number(l.errorOfLiveValue), percent(l.covered), count(l.count)]), "No forecast has come true or not yet.")),
      h("section", null, h("h2", null, "Why"),
        facts([
          ["Gate", [pill(f.state), why[2]]],
          ["Ready", f.readyAt && "about " + when(f.readyAt)],
          ["Skill against the best naive forecast", f.skill === undefined ? null : percent(f.skill)],
          ["Window maxima within P90, a week", f.coverage === undefined ? null : percent(f.coverage)],
          ["Peaks", f.peakRatio > 1 ? `usually ${number(f.peakRatio)} times the mean of a step` : null],
          ["Clamp", f.clamp ? `${f.clamp.by}: quantiles from ${f.clamp.fromQuantile} on at most ${number(f.clamp.limit)}` : null],
        ]),
        history.patterns && [
          h("h2", null, "Patterns of its past"), h("p", { class: "lead" }, history.patterns[0]),
          h("ul", { class: "plain" }, history.patterns.slice(1).map((p) => h("li", null, p.replace(/^- /, "")))),
        ])),
  ];
}

const asked = (r) => [
  r.resource && h("div", null, `${r.resource} ${r.object ?? (r.objects ? `with ${r.objects}` : "all")}`),
  r.selector && h("div", null, "metric selector ", h("code", null, r.selector)),
];

/** names lists the autoscalers that ask for something, each on a line. */
const names = (r) => [r.autoscalers.map((name) => h("div", null, name)), r.moreAutoscalers && h("span", { class: "small" }, `and ${count(r.moreAutoscalers)} more`)];

/** readersTable tells who reads, with the autoscalers that ask for the same where those are known. */
const readersTable = (a) => [
  a.unnamed && h("p", { class: "notice" }, `${a.named ? "Not all HPAs are named" : "HPAs are not named"}: ${a.unnamed}`),
  table("Readers", [{ title: "Metric" }, { title: "Namespace" }, a.named && { title: "HPA" }, { title: "Objects and selectors" }, { title: "User" }, { title: "Last read" }, { title: "Reads", number: true }],
    a.readers.map((r) => [
      r.metric, r.namespace || "none",
      r.autoscalers ? names(r) : h("span", { class: "small" }, "none asks for it"),
      asked(r),
      r.user.replace("system:serviceaccount:", "") || "unknown",
      [since(r.last), r.problem && h("span", { class: "problem small" }, r.problem)],
      count(r.count),
    ]), "Nobody has read it from this replica in the last hour."),
];

/** unreadTable tells what autoscalers ask for and nobody has read, if anything. */
const unreadTable = (a) => a.unread.length > 0 && [
  h("h2", null, "Asked for by HPAs, and not read"),
  h("p", { class: "lead" }, "From this replica, in the last hour or since its start: another one may answer them, or the HPA has no pods to scale, or an error to tell; kubectl describe hpa says which.",
    a.unreadMatched > a.unread.length && ` These are the first ${count(a.unread.length)} of ${count(a.unreadMatched)}.`),
  table("Asked for by HPAs, and not read", [{ title: "Metric" }, { title: "Namespace" }, { title: "HPA" }, { title: "Objects and selectors" }],
    a.unread.map((r) => [r.metric, r.namespace || "none", names(r), asked(r)]), ""),
];

const readersView = {
  title: () => "Readers",
  ask: (p) => ask("page/readers", { q: p.q ?? "", offset: p.offset ?? 0 }),
  frame: (p, change) => [
    h("p", { class: "lead" }, "Who has read from this replica in the last hour. HPAs all read as one user, that of their controller: in a cluster those are named that ask for the same."),
    search(p, change, "Metric, namespace, user or HPA"),
  ],
  told: (a) => `${count(a.matched)} of ${count(a.total)} readers` + (a.unkept ? `; ${count(a.unkept)} reads were of further ones, which are not remembered` : ""),
  body: (a, p, change) => [readersTable(a), pager("readers", a, a.readers.length, (offset) => change({ offset })), unreadTable(a)],
};

const collectorsView = {
  title: () => "Collectors",
  ask: (p) => ask("page/collectors", { offset: p.offset ?? 0 }),
  frame: () => [h("p", { class: "lead" }, "The built-in sources of samples. Of one that misses something, what it has is stored all the same.")],
  body: (a, p, change) => [
    table("Collectors", [{ title: "Collector" }, { title: "State" }, { title: "Series", number: true }, { title: "Takes", number: true }, { title: "Last complete" }, { title: "Missed since the start" }],
      a.collectors.map((c) => [
        `${c.collector} ${c.target}`,
        h("span", { class: "pill " + (c.up ? "good" : "bad") }, c.up ? "complete" : "something is missing"),
        count(c.series), c.meanSeconds === undefined ? "" : `${(1000 * c.meanSeconds).toPrecision(2)} ms`,
        c.lastSuccess ? since(c.lastSuccess) : "never",
        Object.entries(c.missed ?? {}).map(([reason, n]) => `${reason}: ${count(n)}`).join(", ") || "nothing",
      ]), "The config has no collectors."),
    pager("collectors", { ...a, matched: a.total }, a.collectors.length, (offset) => change({ offset })),
  ],
};

const configView = {
  title: () => "Config",
  ask: () => ask("page/config", {}),
  frame: () => [],
  body: (a) => [
    h("p", { class: "notice " + (a.reload.problem ? "" : "good") },
      a.reload.problem ? `The newest file could not be used, ${when(a.reload.at)}; the one before stays in use. ${a.reload.problem}` : `In use since ${when(a.reload.at)}.`),
    h("p", { class: "lead" }, `${a.name}, as it was read; what is secret is hidden.`),
    h("pre", { tabindex: "0", "aria-label": "The config file" }, a.text),
  ],
};

const readView = {
  title: () => "Follow a read",
  ask: (p) => (p.metric && p.namespace ? ask("explain", { metric: p.metric, namespace: p.namespace, selector: p.selector ?? "" }) : Promise.resolve(null)),
  frame: (p, change) => [
    h("p", { class: "lead" }, "What an autoscaler would be told now, and why: the rule, its query, the series and the value. It is a read like an autoscaler's own; where nobody keeps the query, the backend is asked."),
    h("form", { onsubmit: (e) => { e.preventDefault(); change(Object.fromEntries(new FormData(e.target))); } },
      [["metric", "Metric"], ["namespace", "Namespace"], ["selector", "Metric selector, if any"]].map(([name, label]) =>
        h("label", { class: "field" }, label, h("input", { type: "text", name, value: p[name] ?? "", required: name !== "selector" }))),
      h("button", { type: "submit" }, "Follow")),
  ],
  once: true, // It counts as a read.
  body: (a) => {
    if (!a) return [];
    if (a.error) return [h("p", { class: "notice" }, a.error)];
    return a.ways.map((w) => [
      h("h2", null, w.path),
      w.refused ? h("p", { class: "notice" }, w.refused) : facts([
        ["Value", w.value, w.value?.length < 40], ["Rule", w.series ? `${w.rule}, of the series ${w.series}` : w.rule], ["Backend", w.backend], ["Query", h("code", null, w.query)],
        ["Kept", w.kept && `every ${span(w.kept.interval)}, ${w.kept.age ? `answered ${w.kept.age} ago` : "never answered"}, ${w.kept.warm ? "no backend was asked" : "the backend was asked"}`],
        ["Failing", w.kept?.failing], ["Shaped by", w.shaped?.join("; ")],
      ]),
      w.values && table("Series of the read", [{ title: "Series" }, { title: "Value", number: true }, { title: "Told" }, { title: "Forecast" }],
        w.values.map((v) => [v.series, v.value, v.told || "not served", v.forecast ? pill(v.forecast.state) : ""]), ""),
      w.more && h("p", { class: "lead" }, `and ${count(w.more)} more series`),
    ]);
  },
};

const views = { "": metricsView, metric: metricView, readers: readersView, collectors: collectorsView, config: configView, read: readView };

let turn = 0; // of the newest question, so that a late answer is not shown

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: views[path] ? path : "", parameters: Object.fromEntries(new URLSearchParams(query)) };
}

/** go shows the view of the address. With focus it is a new one, and the reader is taken to its heading. */
function go(focus) {
  const { path, parameters } = place();
  const view = views[path];
  drawn?.end();
  drawn = null;
  for (const a of document.querySelectorAll("header nav a")) {
    const current = a.getAttribute("href") === "#/" + (path === "metric" ? "" : path);
    current ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  }
  const title = view.title(parameters);
  document.title = `${title} - Foresail`;
  const heading = h("h1", { tabindex: "-1" }, title);
  main.replaceChildren(heading, ...view.frame(parameters, change), h("div", { id: "body" }));
  if (focus) heading.focus();
  show(view, parameters);
}

/** change changes parameters of the view that is shown, without leaving it. */
function change(parameters) {
  const { path, parameters: before } = place();
  const now = Object.fromEntries(Object.entries({ ...before, ...parameters }).filter(([, v]) => v !== "" && v !== 0));
  history.replaceState(null, "", `#/${path}?${new URLSearchParams(now)}`);
  show(views[path], now);
}

async function show(view, parameters) {
  const mine = ++turn;
  try {
    const answer = await view.ask(parameters);
    if (mine === turn) fill(view, parameters, answer);
  } catch (err) {
    if (mine === turn) tellAlert(`Foresail did not answer: ${err.message}`);
  }
}

/** fill puts an answer in the place of the one before; the focus stays where it is. */
function fill(view, parameters, answer) {
  tellAlert(answer?.unready ? `Not ready: ${answer.unready}` : answer?.reload?.problem && view !== configView ? "The newest config file could not be used; see Config." : "");
  const told = document.getElementById("told");
  const text = view.told?.(answer) ?? "";
  if (told && told.textContent !== text) told.textContent = text;
  const body = document.getElementById("body");
  const open = body.querySelector("details.values")?.open;
  const key = keyOf(body.contains(document.activeElement) ? document.activeElement : null);
  const scrolled = [...body.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
  body.replaceChildren(...view.body(answer, parameters, change).flat(Infinity).filter((e) => e));
  drawn?.figure.isConnected && !drawn.shown && (drawn.show(), (drawn.shown = true));
  [...body.querySelectorAll(".scroll, pre")].forEach((e, i) => scrolled[i] && ([e.scrollLeft, e.scrollTop] = scrolled[i]));
  if (open) body.querySelector("details.values").open = true;
  if (key) [...body.querySelectorAll("a, button, [tabindex], summary")].find((e) => keyOf(e) === key)?.focus({ preventScroll: true });
}

const keyOf = (e) => e && (e.getAttribute("href") ?? e.dataset.key ?? e.getAttribute("aria-label") ?? e.textContent);

function tellAlert(text) {
  if (alert.textContent !== text) alert.textContent = text;
  alert.hidden = text === "";
}

addEventListener("hashchange", () => go(true));
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  main.focus();
});
setInterval(() => {
  const { path, parameters } = place();
  if (refresh.checked && !document.hidden && !views[path].once) show(views[path], parameters);
}, 10000);
go(false);
