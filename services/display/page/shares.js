// The session's shares: each emotion's share of the time in which faces were seen.

import { clockTime, count, make, paint, percent } from "./emotions.js";

const OTHER = { label: "other", color: "#8a96a3", ink: "#000000" };

export class Shares {
  #counts = new Map(); // stream -> { faces_seen, left_out: reason -> count }
  #streams = new Map(); // stream -> { since, times: label -> ms, until: track -> ms }

  constructor(section, settings, preferences) {
    this.settings = settings;
    this.preferences = preferences;
    this.bar = section.querySelector("#shares");
    this.list = section.querySelector("ul");
    this.hint = section.querySelector(".hint");
    this.note = section.querySelector("h2 small");
    this.left = section.querySelector(".left-out");
    preferences.onChange(() => this.draw());
  }

  // The server may send the last minutes again; each moment counts once.
  add(spans) {
    for (const [stream, rows] of Object.entries(spans)) {
      const totals = this.#of(stream);
      for (const [track, start, end, label] of [...rows].sort((a, b) => a[1] - b[1])) {
        const from = Math.max(start, totals.until.get(track) ?? 0);
        totals.since = Math.min(totals.since, start);
        if (end <= from) continue;
        totals.times.set(label, (totals.times.get(label) ?? 0) + end - from);
        totals.until.set(track, end);
      }
      this.#forget(totals);
    }
  }

  forget(stream) {
    this.#streams.delete(stream);
    this.#counts.delete(stream);
  }

  // The number of faces that the display has seen, and of those left out.
  count(states) {
    for (const [stream, state] of Object.entries(states)) this.#counts.set(stream, state);
  }

  select(stream) {
    this.stream = stream;
    this.draw();
  }

  draw() {
    const parts = this.partsOf(this.stream);
    const isEmpty = parts.length === 0;
    this.hint.hidden = !isEmpty;
    this.bar.hidden = this.list.hidden = isEmpty;
    this.left.textContent = leftOut(this.#counts.get(this.stream));
    this.note.textContent = isEmpty ? "" : `since ${clockTime(this.#of(this.stream).since)}`;
    if (isEmpty) return;
    this.bar.setAttribute("aria-label", parts.map(([style, share]) => `${style.label} ${percent(share)}`).join(", "));
    this.bar.replaceChildren(...parts.map(([style, share]) => segment(style, share)));
    this.list.replaceChildren(...parts.map(([style, share]) => entry(style, share)));
  }

  // The selected emotions in fixed order, and all others as one.
  partsOf(stream) {
    const { times } = this.#of(stream);
    const total = [...times.values()].reduce((sum, ms) => sum + ms, 0);
    if (total === 0) return [];
    const share = (label) => (times.get(label) ?? 0) / total;
    const shown = this.settings.labels().filter((label) => times.has(label) && this.preferences.shows(label));
    const parts = shown.map((label) => [this.settings.styleOf(label), share(label)]);
    const rest = 1 - parts.reduce((sum, [, part]) => sum + part, 0);
    return rest > 0.0005 ? [...parts, [OTHER, rest]] : parts;
  }

  #of(stream) {
    if (!this.#streams.has(stream)) {
      this.#streams.set(stream, { since: Infinity, times: new Map(), until: new Map() });
    }
    return this.#streams.get(stream);
  }

  // Nothing can be sent again for a track that is older than the server's memory.
  #forget({ until }) {
    const oldest = Math.max(...until.values()) - this.settings.history_ms;
    for (const [track, end] of until) if (end < oldest) until.delete(track);
  }
}

function leftOut(state) {
  const counts = Object.values(state?.left_out ?? {});
  const whole = counts.reduce((sum, one) => sum + one, 0);
  if (whole === 0) return "";
  const { quality, new: early } = state.left_out;
  return `Left out: ${count(whole)} of ${count(state.faces_seen)} faces since the display started `
    + `(${count(quality)} low quality, ${count(early)} track too new).`;
}

function segment(style, share) {
  const element = make("span", "", share > 0.16 ? style.label : "");
  paint(element, style);
  element.style.flexGrow = share;
  return element;
}

function entry(style, share) {
  const item = make("li");
  item.dataset.emotion = style.label;
  const name = make("span", "emotion", style.label);
  paint(name, style);
  item.append(name, make("b", "", percent(share)));
  return item;
}
