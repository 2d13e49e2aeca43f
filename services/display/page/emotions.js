// The labels and faces with their colors, and the format of numbers and times.

// track -> number, from the server: small, and separate for each stream.
const numbers = new Map();
// For a label that the server has not sent yet.
const UNKNOWN_STYLE = { color: "#ffffff", ink: "#000000" };
// By the face's number. Chosen to differ from the emotions' colors and from each other for everyone
// (Oklab distances, also with each kind of color blindness simulated), with black text on them.
const FACES = ["#44ddff", "#ffbb88", "#bb33ff", "#ddffaa", "#aaffff", "#9977dd"];
const DAY_MS = 86_400_000;

export async function loadSettings() {
  const settings = await (await fetch("settings.json")).json();
  const styles = new Map();
  settings.addStyles = (labels) => labels.forEach((style) => styles.set(style.label, style));
  settings.styleOf = (label) => styles.get(label) ?? { label, ...UNKNOWN_STYLE };
  // In the order of the model's labels, once a face has provided it.
  let order = [];
  settings.orderLabels = (labels) => {
    if (labels.some((label) => !order.includes(label))) order = [...new Set([...labels, ...order])];
  };
  settings.labels = () => [...new Set([...order, ...styles.keys()])];
  return settings;
}

export function learnNumbers(given) {
  for (const [track, number] of Object.entries(given)) numbers.set(Number(track), number);
}

export const numberOf = (track) => numbers.get(track) ?? 0;

export const byNumber = (a, b) => numberOf(a.track) - numberOf(b.track);

export const faceColor = (number) => FACES[(number + FACES.length - 1) % FACES.length];

export const percent = (share) => `${Math.round(100 * share)}%`;

export const count = (number) => number.toLocaleString("en");

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

export const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

// With the date if the time alone would be misleading.
export function dateTime(ms) {
  const day = Date.now() - ms > DAY_MS / 2 ? `${new Date(ms).toLocaleDateString()} ` : "";
  return day + clockTime(ms);
}

// Sets an element's colors for the emotion: --emotion, and --ink for text on it.
export function paint(element, style) {
  element.style.setProperty("--emotion", style.color);
  element.style.setProperty("--ink", style.ink);
}

// Sets an element's color for the face: --face.
export function paintFace(element, number) {
  element.style.setProperty("--face", faceColor(number));
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
