// Single keys, and the dialog that lists them.

import { make } from "./emotions.js";

const SHORTCUTS = [
  { keys: [" ", "k"], shown: ["Space", "K"], act: "pause", does: "pause or resume" },
  { keys: ["1"], shown: ["1", "…", "9"], act: "open", does: "open a stream" },
  { keys: ["Escape", "0"], shown: ["Esc", "0"], act: "all", does: "back to all streams" },
  { keys: ["ArrowLeft"], shown: ["←"], act: "previous", does: "previous stream" },
  { keys: ["ArrowRight"], shown: ["→"], act: "next", does: "next stream" },
  { keys: ["s"], shown: ["S"], act: "snapshot", does: "snapshot of the open stream" },
  { keys: ["r"], shown: ["R"], act: "record", does: "start or stop recording the open stream, or all" },
  { keys: ["b"], shown: ["B"], act: "blur", does: "turn blur on or off for the open stream, or all" },
  { keys: ["-"], shown: ["−"], act: "lower", does: "lower the threshold" },
  { keys: ["+", "="], shown: ["+"], act: "raise", does: "raise the threshold" },
  { keys: ["v"], shown: ["V"], act: "view", does: "smoothing, threshold, emotions" },
  { keys: ["t"], shown: ["T"], act: "theme", does: "dark, light or system colors" },
  { keys: ["?"], shown: ["?"], act: "help", does: "show this list" },
];
const TYPING = "input, select, textarea, [contenteditable]";
// Elements that use Space or the arrow keys themselves.
const OWN = "button, a, summary, [tabindex='0']";

// Calls `actions[act](index)` for each key, while `preferences.keys` allows single keys.
export function listen(actions, preferences) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector(":popover-open, dialog[open]")) return;
    const { key, target } = event;
    if (key !== "Escape" && (!preferences.keys || target.matches(TYPING))) return;
    if ((key === " " || key.startsWith("Arrow")) && target.matches(OWN)) return;
    const found = SHORTCUTS.find(({ keys }) => keys.includes(digit(key) ? "1" : key.toLowerCase())
      || keys.includes(key));
    if (!found) return;
    event.preventDefault();
    actions[found.act](Number(key) - 1);
  });
}

const digit = (key) => key >= "1" && key <= "9" && key.length === 1;

export function list(dialog) {
  const items = SHORTCUTS.flatMap(({ shown, does }) => {
    const keys = make("dt");
    keys.append(...shown.map((key) => (key === "…" ? "…" : make("kbd", "", key))));
    return [keys, make("dd", "", does)];
  });
  dialog.querySelector("dl").replaceChildren(...items);
}
