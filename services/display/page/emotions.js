// The labels with their colours, as the server tells them, and how faces are called.

// A track's id is the detector's start << 20 and a number; people need the number alone.
const NUMBERS = 2 ** 20;
// Of a label that the server has not told of.
const UNTOLD = { color: "#ffffff", ink: "#000000" };

export async function loadSettings() {
  const settings = await (await fetch("settings.json")).json();
  const looks = new Map();
  settings.learn = (labels) => labels.forEach((look) => looks.set(look.label, look));
  settings.look = (label) => looks.get(label) ?? { label, ...UNTOLD };
  return settings;
}

export const numberOf = (track) => track % NUMBERS;

export const percent = (share) => `${Math.round(100 * share)}%`;

export const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

// Colours an element, and all in it, as the emotion: --emotion, and --ink to write on it.
export function paint(element, look) {
  element.style.setProperty("--emotion", look.color);
  element.style.setProperty("--ink", look.ink);
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
