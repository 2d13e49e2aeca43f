// The viewer's preferences, stored in this browser, for this page only.
//
// `smoothing` is "pipeline" or seconds, `sensitivity` from -1 (calm) to 1 (expressive), `threshold` a
// share from 0 to 1, `hidden` the emotions that are not shown, `theme` "auto", "dark" or "light", `announce` whether events are read out, `keys`
// whether single keys are shortcuts.

const STORAGE_KEY = "emostream.view";
const DEFAULTS = {
  smoothing: "pipeline",
  sensitivity: 0,
  threshold: 0,
  hidden: [],
  theme: "auto",
  announce: false,
  keys: true,
};

const IS_VALID = {
  smoothing: (value) => value === "pipeline" || value >= 0,
  sensitivity: (value) => value >= -1 && value <= 1,
  threshold: (value) => value >= 0 && value < 1,
  hidden: Array.isArray,
  theme: (value) => ["auto", "dark", "light"].includes(value),
  announce: (value) => typeof value === "boolean",
  keys: (value) => typeof value === "boolean",
};

export class Preferences {
  #listeners = [];

  constructor() {
    Object.assign(this, DEFAULTS, load());
    this.#applyTheme();
  }

  // Calls `listener` after each change.
  onChange(listener) {
    this.#listeners.push(listener);
  }

  change(changes) {
    Object.assign(this, changes);
    save(Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, this[name]])));
    this.#applyTheme();
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

  // The differences from the defaults, in a few words.
  get summary() {
    const parts = [];
    if (this.smoothing !== "pipeline") {
      parts.push(this.smoothing > 0 ? `smoothed ${this.smoothing} s` : "not smoothed");
    }
    if (this.sensitivity !== 0) parts.push(sensitivityText(this.sensitivity));
    if (this.threshold > 0) parts.push(`threshold ${Math.round(100 * this.threshold)}%`);
    if (this.hidden.length > 0) parts.push(`${this.hidden.length} hidden`);
    return parts.join(", ");
  }

  #applyTheme() {
    document.documentElement.dataset.theme = this.theme;
  }
}

export function sensitivityText(sensitivity) {
  if (sensitivity === 0) return "same as the stream";
  return `${Math.round(100 * Math.abs(sensitivity))}% ${sensitivity > 0 ? "more expressive" : "calmer"}`;
}

// If a browser refuses storage, or has data of another release, the defaults apply.
function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
    return Object.fromEntries(Object.entries(kept).filter(([name, value]) => IS_VALID[name]?.(value)));
  } catch {
    return {};
  }
}

function save(preferences) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(preferences));
  } catch {
    // They apply until the page is closed.
  }
}
