// The emotions with their colours, as the server tells them, and how faces are called.

// A track's id is the detector's start << 20 and a number; people need the number alone.
const NUMBERS = 2 ** 20;

export async function loadSettings() {
  const settings = await (await fetch("settings.json")).json();
  settings.emotions = new Map(settings.emotions.map((emotion) => [emotion.label, emotion]));
  settings.look = (label) => settings.emotions.get(label) ?? { label, ...settings.other };
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
