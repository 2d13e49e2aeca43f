// The last minutes as a chart: a row for each face, coloured by the emotion that it showed.

/* global Plotly */

const SPAN_MS = 300_000;
const MOST_ROWS = 8;
const ROW_PX = 34;

export class Timeline {
  constructor(element, settings) {
    this.element = element;
    this.settings = settings;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
  }

  show(tracks, now) {
    if (typeof Plotly === "undefined") return;
    const rows = [...tracks].sort((a, b) => b.segments.at(-1)[2] - a.segments.at(-1)[2]).slice(0, MOST_ROWS);
    const data = this.settings.labels.map((label) => this.#trace(label, rows));
    Plotly.react(this.element, data, this.#layout(rows, now), { displayModeBar: false, responsive: true });
    this.element.dataset.rows = rows.length;
  }

  #trace(label, rows) {
    const bars = rows.flatMap((row) => row.segments
      .filter((segment) => segment[0] === label)
      .map(([, begin, end, confidence]) => ({ row: `face ${row.number}`, begin, length: Math.max(end - begin, 250), confidence })));
    return {
      type: "bar", orientation: "h", name: label,
      y: bars.length ? bars.map((bar) => bar.row) : [null],
      base: bars.length ? bars.map((bar) => localTime(bar.begin)) : [null],
      x: bars.length ? bars.map((bar) => bar.length) : [null],
      customdata: bars.map((bar) => [bar.length / 1000, 100 * bar.confidence]),
      hovertemplate: `${label}: %{customdata[0]:.1f} s, confidence %{customdata[1]:.0f}%<extra>%{y}</extra>`,
      marker: { color: this.settings.colors[label], line: { width: 0 } },
      showlegend: true,
    };
  }

  #layout(rows, now) {
    const text = this.dark.matches ? "#e8edf2" : "#1a2129";
    const line = this.dark.matches ? "#2c353f" : "#d5dce3";
    return {
      barmode: "overlay", bargap: 0.25, uirevision: "keep",
      height: 96 + ROW_PX * Math.max(rows.length, 2),
      margin: { l: 64, r: 12, t: 4, b: 28 },
      paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { color: text, family: getComputedStyle(document.body).fontFamily, size: 13 },
      xaxis: { type: "date", range: [localTime(now - SPAN_MS), localTime(now)], gridcolor: line, fixedrange: true, tickformat: "%H:%M:%S" },
      yaxis: { type: "category", categoryarray: rows.map((row) => `face ${row.number}`), autorange: "reversed", fixedrange: true },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", itemsizing: "constant" },
    };
  }
}

// Plotly shows times in UTC; shifted by the offset they read as the viewer's own.
function localTime(ms) {
  return new Date(ms - 60_000 * new Date(ms).getTimezoneOffset()).toISOString().slice(0, -1);
}
