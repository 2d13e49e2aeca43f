// The session's shares: for how much of the time that faces were seen they showed each emotion.

import { clockTime, make, paint, percent } from "./emotions.js";

const OTHER = { label: "other", color: "#8a96a3", ink: "#000000" };

export class Shares {
  #streams = new Map(); // stream -> { since, times: label -> ms, until: track -> ms }

  constructor(section, settings, choices) {
    this.settings = settings;
    this.choices = choices;
    this.bar = section.querySelector("#shares");
    this.list = section.querySelector("ul");
    this.hint = section.querySelector(".hint");
    this.note = section.querySelector("h2 small");
    choices.follow(() => this.draw());
  }

  // The server remembers the last minutes and may tell them again; each moment counts once.
  take(spans) {
    for (const [stream, rows] of Object.entries(spans)) {
      const told = this.#of(stream);
      for (const [track, start, end, label] of [...rows].sort((a, b) => a[1] - b[1])) {
        const from = Math.max(start, told.until.get(track) ?? 0);
        told.since = Math.min(told.since, start);
        if (end <= from) continue;
        told.times.set(label, (told.times.get(label) ?? 0) + end - from);
        told.until.set(track, end);
      }
      this.#forget(told);
    }
  }

  select(stream) {
    this.stream = stream;
    this.draw();
  }

  draw() {
    const told = this.#of(this.stream);
    const total = [...told.times.values()].reduce((sum, ms) => sum + ms, 0);
    this.hint.hidden = total > 0;
    this.bar.hidden = this.list.hidden = total === 0;
    this.note.textContent = total > 0 ? `since ${clockTime(told.since)}` : "";
    if (total === 0) return;
    const parts = this.#parts(told.times, total);
    this.bar.setAttribute("aria-label", parts.map(([look, share]) => `${look.label} ${percent(share)}`).join(", "));
    this.bar.replaceChildren(...parts.map(([look, share]) => segment(look, share)));
    this.list.replaceChildren(...parts.map(([look, share]) => entry(look, share)));
  }

  // The chosen emotions in their steady order, and all others as one.
  #parts(times, total) {
    const share = (label) => (times.get(label) ?? 0) / total;
    const shown = this.settings.labels().filter((label) => times.has(label) && this.choices.shows(label));
    const parts = shown.map((label) => [this.settings.look(label), share(label)]);
    const rest = 1 - parts.reduce((sum, [, part]) => sum + part, 0);
    return rest > 0.0005 ? [...parts, [OTHER, rest]] : parts;
  }

  #of(stream) {
    if (!this.#streams.has(stream)) {
      this.#streams.set(stream, { since: Infinity, times: new Map(), until: new Map() });
    }
    return this.#streams.get(stream);
  }

  // Of a track that is older than the server's memory nothing can be told again.
  #forget({ until }) {
    const oldest = Math.max(...until.values()) - this.settings.history_ms;
    for (const [track, end] of until) if (end < oldest) until.delete(track);
  }
}

function segment(look, share) {
  const element = make("span", "", share > 0.16 ? look.label : "");
  paint(element, look);
  element.style.flexGrow = share;
  return element;
}

function entry(look, share) {
  const item = make("li");
  item.dataset.emotion = look.label;
  const name = make("span", "emotion", look.label);
  paint(name, look);
  item.append(name, make("b", "", percent(share)));
  return item;
}
