// The list of events, newest first; read out on request.

import { clockTime, make, paint, paintFace } from "./emotions.js";

const MOST = 100;
// A voice that is constantly interrupted is useless.
const ANNOUNCE_EVERY_MS = 4000;

export class Events {
  #announced = -Infinity;

  constructor(section, announcer, settings, preferences) {
    this.announcer = announcer;
    this.settings = settings;
    this.preferences = preferences;
    this.stream = null;
    this.log = section.querySelector(".log");
    this.list = section.querySelector("#events");
    this.hint = section.querySelector(".hint");
    preferences.onChange(() => this.#filter());
  }

  clear() {
    this.list.replaceChildren();
    this.#filter();
  }

  // Shows the events of one stream, or (null) of all, with their names.
  select(stream) {
    this.stream = stream;
    this.list.classList.toggle("all", stream === null);
    this.#filter();
  }

  // `fresh`: they just happened, and are not history.
  add(events, fresh) {
    if (events.length === 0) return;
    this.list.prepend(...events.slice(-MOST).reverse().map((event) => this.#item(event)));
    while (this.list.children.length > MOST) this.list.lastChild.remove();
    this.#filter();
    const last = this.list.querySelector("li:not([hidden])");
    if (fresh && last) this.#announce(last);
  }

  #filter() {
    for (const item of this.list.children) {
      const here = this.stream === null || item.dataset.stream === this.stream;
      const chosen = item.dataset.kind !== "change" || this.preferences.shows(item.dataset.label);
      item.hidden = !here || !chosen;
    }
    this.hint.hidden = this.list.querySelector("li:not([hidden])") !== null;
    this.log.hidden = !this.hint.hidden;
  }

  #announce(item) {
    const now = performance.now();
    if (!this.preferences.announce || now - this.#announced < ANNOUNCE_EVERY_MS) return;
    this.#announced = now;
    this.announcer.textContent = item.dataset.spoken;
  }

  #item(event) {
    const item = make("li");
    item.dataset.kind = event.kind;
    item.dataset.stream = event.stream;
    item.dataset.label = event.label;
    item.append(make("time", "", clockTime(event.t)), make("span", "stream", event.stream));
    const badge = make("i", "badge", String(event.number));
    paintFace(badge, event.number);
    const words = make("span", "words");
    words.append(...this.#words(event));
    item.append(badge, words);
    item.dataset.spoken = `${event.stream}, face ${event.number}: ${spoken(event)}`;
    return item;
  }

  #words(event) {
    switch (event.kind) {
      case "enter": return ["came, ", this.#emotion(event.label)];
      case "leave": return ["left, last ", this.#emotion(event.label)];
      default: return [this.#emotion(event.previous), " → ", this.#emotion(event.label)];
    }
  }

  #emotion(label) {
    const element = make("span", "emotion", label);
    paint(element, this.settings.styleOf(label));
    return element;
  }
}

function spoken({ kind, label, previous }) {
  if (kind === "enter") return `came, ${label}`;
  return kind === "leave" ? `left, last ${label}` : `from ${previous} to ${label}`;
}
