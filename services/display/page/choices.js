// What the viewer chose, kept in this browser: it changes this page alone.
//
// `smoothing` is "pipeline" or seconds, `threshold` a share from 0 to 1, `hidden` the emotions that
// are not shown, `theme` "auto", "dark" or "light", `announce` whether events are read out, `keys`
// whether single keys are shortcuts.

const PLACE = "emostream.view";
const DEFAULTS = {
  smoothing: "pipeline",
  threshold: 0,
  hidden: [],
  theme: "auto",
  announce: false,
  keys: true,
};

const FITS = {
  smoothing: (value) => value === "pipeline" || value >= 0,
  threshold: (value) => value >= 0 && value < 1,
  hidden: Array.isArray,
  theme: (value) => ["auto", "dark", "light"].includes(value),
  announce: (value) => typeof value === "boolean",
  keys: (value) => typeof value === "boolean",
};

export class Choices {
  #listeners = [];

  constructor() {
    Object.assign(this, DEFAULTS, load());
    this.#wear();
  }

  // Calls `listener` after each change.
  follow(listener) {
    this.#listeners.push(listener);
  }

  change(changes) {
    Object.assign(this, changes);
    save(Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, this[name]])));
    this.#wear();
    this.#listeners.forEach((listener) => listener());
  }

  reset() {
    this.change(DEFAULTS);
  }

  shows(label) {
    return !this.hidden.includes(label);
  }

  toggle(label, on) {
    const others = this.hidden.filter((hidden) => hidden !== label);
    this.change({ hidden: on ? others : [...others, label] });
  }

  // What differs from the first settings, in a few words.
  get summary() {
    const parts = [];
    if (this.smoothing !== "pipeline") {
      parts.push(this.smoothing > 0 ? `smoothed ${this.smoothing} s` : "not smoothed");
    }
    if (this.threshold > 0) parts.push(`sure from ${Math.round(100 * this.threshold)}%`);
    if (this.hidden.length > 0) parts.push(`${this.hidden.length} hidden`);
    return parts.join(", ");
  }

  #wear() {
    document.documentElement.dataset.theme = this.theme;
  }
}

// A browser may refuse storage, or hold what another release wrote: then the defaults apply.
function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE)) ?? {};
    return Object.fromEntries(Object.entries(kept).filter(([name, value]) => FITS[name]?.(value)));
  } catch {
    return {};
  }
}

function save(choices) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(choices));
  } catch {
    // They hold until the page is closed.
  }
}
