// Each stage's health: a sign, a word and its frames/s; why it is not ready, on hover or focus.

import { make } from "./emotions.js";

const SIGNS = { "ready": "✓", "not ready": "!", "away": "✕", "down": "✕" };

export class Stages {
  #items = new Map();

  constructor(list) {
    this.list = list;
    list.hidden = true;
  }

  update(stages) {
    this.list.hidden = stages.length === 0;
    const present = new Set();
    for (const stage of stages) {
      const key = `${stage.stage} ${stage.address}`;
      present.add(key);
      if (!this.#items.has(key)) {
        this.#items.set(key, newItem());
        this.list.append(this.#items.get(key));
      }
      fill(this.#items.get(key), stage);
    }
    for (const [key, item] of this.#items) {
      if (present.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
  }
}

function fill(item, { stage, address, state, reason, fps }) {
  item.dataset.stage = stage;
  item.dataset.state = state;
  const [sign, name, word, rate, more] = item.children;
  sign.textContent = SIGNS[state] ?? "?";
  name.textContent = stage;
  word.textContent = state;
  rate.textContent = fps === null || state === "away" ? "" : `${Math.round(fps)}/s`;
  const why = state === "ready" ? "ready" : reason || state;
  const text = `${stage} at ${address}: ${why}${rate.textContent && `, ${fps.toFixed(1)} frames/s`}`;
  // Not written anew when it is the same, so that a screen reader is left alone.
  if (more.textContent !== text) more.textContent = text;
}

function newItem() {
  const item = make("li");
  item.tabIndex = 0;
  const sign = make("span", "sign");
  sign.setAttribute("aria-hidden", "true");
  item.append(sign, make("b"), make("span", "word"), make("span", "rate"), make("span", "more"));
  return item;
}
