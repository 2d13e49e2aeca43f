// The last minutes as a chart: one row per face, with its emotions as colors and names.

import { byNumber, clockTime, faceColor, make, numberOf, paint, percent } from "./emotions.js";

const SHORTEST_MS = 30_000;
const MOST_ROWS = 8;
// Sizes in CSS pixels at the default text size.
const FONT_PX = 12;
const ROW_PX = 30;
const MARGIN = { l: 72, r: 26, t: 2, b: 26 };
const TICK_PX = 75;
const USUAL_TEXT_PX = 16;
// The distance of ticks by length of the chart, because "150 s ago" is hard to read.
const TICK_STEPS_MS = [[10_000, 60_000], [30_000, 130_000], [60_000, Infinity]];
const WIDEST_TICK_STEP_MS = 120_000;
const DRAW_EVERY_MS = 1000;
// A span of one frame must still be visible.
const LEAST_WIDTH_MS = 200;
const PALE = 0.3;

export class Timeline {
  #tracks = new Map(); // stream -> track -> start -> [start, end, label, confidence]
  #at = -Infinity;

  constructor(section, settings, preferences) {
    this.settings = settings;
    this.preferences = preferences;
    this.element = section.querySelector("#timeline");
    this.hint = section.querySelector(".hint");
    this.now = new Map();
    this.legend = section.querySelector(".legend");
    this.labels = [];
    document.getElementById("plotly").addEventListener("load", () => this.redraw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    preferences.onChange(() => this.redraw());
  }

  clear() {
    this.#tracks.clear();
  }

  forget(stream) {
    this.#tracks.delete(stream);
    this.now.delete(stream);
  }

  update(update) {
    for (const [stream, state] of Object.entries(update.streams)) this.now.set(stream, state.t);
    for (const [stream, rows] of Object.entries(update.spans)) {
      const tracks = entry(this.#tracks, stream);
      for (const [track, start, ...rest] of rows) entry(tracks, track).set(start, [start, ...rest]);
      this.#forget(stream, tracks);
    }
  }

  // Records the current labels of the selected stream's faces.
  setLabels(facts) {
    if (facts.faces.length > 0) this.labels = Object.keys(facts.faces[0].smoothed);
  }

  select(stream) {
    if (stream !== this.stream) this.labels = [];
    this.stream = stream;
    this.redraw();
  }

  redraw() {
    this.#at = -Infinity;
    this.draw();
  }

  draw() {
    const due = performance.now() - this.#at >= DRAW_EVERY_MS;
    const tracks = this.#tracks.get(this.stream) ?? new Map();
    this.hint.hidden = tracks.size > 0;
    this.element.hidden = this.legend.hidden = tracks.size === 0;
    if (!due || tracks.size === 0 || typeof Plotly === "undefined") return;
    this.#at = performance.now();
    const rows = newestRows(tracks);
    const now = this.now.get(this.stream);
    const styles = this.#labelsOf(rows).map((label) => this.settings.styleOf(label));
    this.legend.replaceChildren(...styles.map(legendOf));
    const traces = styles.map((style) => trace(style, rows, now, this.preferences.threshold));
    const layout = this.#layout(rows, now);
    Plotly.react(this.element, traces, layout, { displayModeBar: false, responsive: true });
    this.element.dataset.rows = rows.length;
  }

  // The current labels of faces, then labels that are only in the chart, from an earlier model.
  #labelsOf(rows) {
    const charted = rows.flatMap((row) => row.spans.map(([, , label]) => label));
    return [...new Set([...this.labels, ...charted])].filter((label) => this.preferences.shows(label));
  }

  #forget(stream, tracks) {
    const oldest = this.now.get(stream) - this.settings.history_ms;
    for (const [track, spans] of tracks) {
      for (const [start, span] of spans) if (span[1] < oldest) spans.delete(start);
      if (spans.size === 0) tracks.delete(track);
    }
  }

  #layout(rows, now) {
    const style = getComputedStyle(this.element);
    // Text is larger on large screens.
    const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_TEXT_PX;
    const first = Math.min(...rows.map((row) => row.spans[0][0]));
    const length = Math.min(Math.max(now - first, SHORTEST_MS), this.settings.history_ms);
    return {
      barmode: "overlay",
      bargap: 0.22,
      height: scale * (MARGIN.t + MARGIN.b + 2 + ROW_PX * rows.length),
      margin: { l: scale * MARGIN.l, r: scale * MARGIN.r, t: scale * MARGIN.t, b: scale * MARGIN.b },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      showlegend: false,
      hovermode: "closest",
      font: { color: style.color, family: style.fontFamily, size: scale * FONT_PX },
      uniformtext: { mode: "hide", minsize: scale * 10 },
      xaxis: {
        range: [-length, 0],
        fixedrange: true,
        zeroline: false,
        gridcolor: style.borderTopColor,
        ...ticks(length, this.element.clientWidth / scale - MARGIN.l - MARGIN.r),
      },
      yaxis: {
        type: "category",
        fixedrange: true,
        autorange: "reversed",
        ticks: "",
        categoryorder: "array",
        categoryarray: rows.map((row) => row.name),
      },
    };
  }
}

function legendOf(style) {
  const item = make("li", "emotion", style.label);
  paint(item, style);
  return item;
}

function entry(map, key) {
  if (!map.has(key)) map.set(key, new Map());
  return map.get(key);
}

function newestRows(tracks) {
  return [...tracks]
    .map(([track, spans]) => ({ track, spans: [...spans.values()].sort((a, b) => a[0] - b[0]) }))
    .sort((a, b) => b.spans.at(-1)[1] - a.spans.at(-1)[1])
    .slice(0, MOST_ROWS)
    .sort(byNumber)
    .map((row) => ({ ...row, name: nameOf(row.track) }));
}

function nameOf(track) {
  return `<span style="color:${faceColor(numberOf(track))}">●</span> face ${numberOf(track)} `;
}

// Spans below the viewer's threshold are pale.
function trace(style, rows, now, threshold) {
  const bars = rows.flatMap((row) => row.spans
    .filter(([, , label]) => label === style.label)
    .map(([start, end, , confidence]) => ({ name: row.name, start, end, confidence })));
  return {
    type: "bar",
    orientation: "h",
    name: style.label,
    y: bars.map((bar) => bar.name),
    base: bars.map((bar) => bar.start - now),
    x: bars.map((bar) => Math.max(bar.end - bar.start, LEAST_WIDTH_MS)),
    text: bars.map(() => style.label),
    textposition: "inside",
    insidetextanchor: "middle",
    textangle: 0,
    textfont: { color: style.ink },
    marker: {
      color: style.color,
      opacity: bars.map((bar) => (bar.confidence < threshold ? PALE : 1)),
      line: { width: 0 },
    },
    hovertext: bars.map((bar) => `${style.label} ${percent(bar.confidence)}<br>`
      + `${clockTime(bar.start)} to ${clockTime(bar.end)}`),
    hoverinfo: "text",
  };
}

function ticks(length, width) {
  const fits = ([step, most]) => length <= most && (width * step) / length >= TICK_PX;
  const [step] = TICK_STEPS_MS.find(fits) ?? [WIDEST_TICK_STEP_MS];
  const values = Array.from({ length: Math.floor(length / step) + 1 }, (_, n) => -n * step);
  return { tickvals: values, ticktext: values.map(ago), tickangle: 0 };
}

function ago(ms) {
  if (ms === 0) return "now";
  return ms % 60_000 ? `${-ms / 1000} s ago` : `${-ms / 60_000} min ago`;
}
