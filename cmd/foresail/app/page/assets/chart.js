// The chart of one series: what came, what had been forecast of it, and what is ahead.
import { at, h, number, span, table } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** chart makes the figure; its update takes a newer history, and its end gives back what it holds. */
export function chart(history) {
  const plot = h("div", { class: "plot", role: "img" });
  const readout = h("p", { class: "readout" });
  const values = h("details", { class: "values" }, h("summary", null, "The same as a table"));
  const shown = h("select", { "data-key": "shown", onchange: () => drawn?.setData(dataOf(history, shown.value)) },
    h("option", { value: 72 }, "the newest 72 steps"), h("option", { value: 288 }, "all that is remembered"));
  const figure = h("figure", null,
    h("div", { class: "top" },
      h("figcaption", null, `${history.metric} ${history.series === "{}" ? "" : history.series}`),
      h("label", null, "Shown: ", shown)),
    plot, readout,
    h("ul", { class: "key" },
      h("li", null, "what came"),
      h("li", { class: "said" }, "what had been forecast for it, and in four cases of five"),
      h("li", { class: "ahead" }, "what is ahead, and in four cases of five"),
      h("li", { class: "most" }, "the largest until then, as the forecast tells it")),
    values);
  let drawn = null;
  const draw = () => {
    drawn?.destroy();
    drawn = new uPlot(options(plot, readout), dataOf(history, shown.value), plot);
  };
  const tell = () => {
    plot.setAttribute("aria-label", summary(history));
    values.replaceChildren(values.firstChild, valuesOf(history));
  };
  const resized = new ResizeObserver(() => drawn?.setSize({ width: plot.clientWidth, height: plot.clientHeight }));
  dark.addEventListener("change", draw);
  tell();
  return {
    figure,
    show() {
      draw();
      resized.observe(plot);
    },
    update(newer) {
      history = newer;
      drawn?.setData(dataOf(history, shown.value));
      tell();
    },
    end() {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      drawn?.destroy();
    },
  };
}

const lastCame = (history) => history.came.findLastIndex((v) => v !== null);

/** dataOf are the columns of the chart, from some steps before the newest on. What is ahead begins at the last value that came. */
function dataOf(history, steps) {
  const from = lastCame(history);
  const ahead = history.ahead.map((column) => column.map((v, i) => (i === from && history.times.length > from + 1 ? history.came[from] : v)));
  return [history.times, history.came, ...history.said, ...ahead, history.windowMax].map((column) => column.slice(Math.max(0, from + 1 - steps)));
}

function options(plot, readout) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  const line = (stroke, width, more) => ({ stroke: colour(stroke), width, points: { show: false }, ...more });
  const none = { stroke: "transparent", width: 0, points: { show: false } };
  const axis = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid") }, font: "13px system-ui, sans-serif" };
  return {
    width: plot.clientWidth, height: plot.clientHeight, legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    padding: [12, 16, 0, 0],
    scales: { y: { range: (u, low, high) => rangeOf(low ?? 0, high ?? 1) } },
    axes: [{ ...axis, size: 34, values: (u, times) => times.map((t) => at(t)), space: 70 }, { ...axis, size: 68, values: (u, vs) => vs.map(number) }],
    series: [
      {}, line("came", 2), none, line("said", 1.5, { dash: [6, 4] }), none,
      none, line("ahead", 2), none, line("most", 2, { dash: [2, 4] }),
    ],
    bands: [{ series: [4, 2], fill: colour("said-band") }, { series: [7, 5], fill: colour("ahead-band") }],
    hooks: {
      draw: [(u) => nowLine(u, colour("soft"))],
      setCursor: [(u) => { readout.textContent = u.cursor.idx === null || u.cursor.idx === undefined ? "" : pointText(u.data, u.cursor.idx); }],
    },
  };
}

/** rangeOf is what the axis of values spans. Values that are the same but for rounding, as of a series that never changes and its forecast, are
 * one value: uPlot finds no distance of ticks that tells them apart, and fails. */
function rangeOf(low, high) {
  if (high - low < 1e-4 * Math.max(Math.abs(low), Math.abs(high))) low = high;
  return uPlot.rangeNum(low >= 0 && low < high / 2 ? 0 : low, high, 0.08, low >= 0);
}

function nowLine(u, colour) {
  const from = u.data[1].findLastIndex((v) => v !== null);
  if (from < 0) return;
  const x = Math.round(u.valToPos(u.data[0][from], "x", true));
  u.ctx.save();
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash([4, 4]);
  u.ctx.beginPath();
  u.ctx.moveTo(x, u.bbox.top);
  u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
  u.ctx.stroke();
  u.ctx.restore();
}

function pointText(data, i) {
  const parts = [];
  if (data[1][i] !== null) parts.push("came " + number(data[1][i]));
  if (data[3][i] !== null) parts.push(`had been forecast ${number(data[3][i])} (${number(data[2][i])} to ${number(data[4][i])})`);
  if (data[1][i] === null && data[6][i] !== null) parts.push(`ahead ${number(data[6][i])} (${number(data[5][i])} to ${number(data[7][i])}), largest until then ${number(data[8][i])}`);
  return `${at(data[0][i])}: ${parts.join(", ") || "nothing is known"}`;
}

/** summary says in a sentence what the chart shows. */
function summary(history) {
  const from = lastCame(history);
  if (from < 0) return "Chart without values: nothing is known of the series yet.";
  const came = history.came.filter((v) => v !== null);
  let text = `Chart: from ${at(history.times[0])} to ${at(history.times[from])} the series went from ${number(Math.min(...came))} to ${number(Math.max(...came))} and is at ${number(history.came[from])}.`;
  const path = history.forecast?.path;
  if (path) text += ` In ${span(path.lead)} it is forecast to be ${number(path.p50)}, between ${number(path.p10)} and ${number(path.p90)} in four cases of five.`;
  return text + " The values are in the table below.";
}

/** valuesOf is the chart as a table: some hours of steps back, and all that is ahead. */
function valuesOf(history) {
  const from = lastCame(history);
  const rows = [];
  for (let i = Math.max(0, from - 47); i < history.times.length; i++) {
    const of = (column) => (column[i] === null ? "" : number(column[i]));
    const band = i <= from ? history.said : history.ahead;
    rows.push([at(history.times[i]), of(history.came), of(band[0]), of(band[1]), of(band[2]), of(history.windowMax)]);
  }
  return table("Values of the chart, the newest 48 steps and what is ahead",
    ["End of step", "Came", "Forecast, low (P10)", "Forecast, median", "Forecast, high (P90)", "Largest until then"].map((title, i) => ({ title, number: i > 0, short: true })),
    rows, "No values yet.");
}
