// Each stage's health: an icon, a word and its frames/s; on hover or focus, why it is not ready.

import { make, percent } from "./emotions.js";
import { analyzedText, helpForStage, isOverloaded } from "./overload.js";

const SIGNS = { "ready": "✓", "overloaded": "!", "not ready": "!", "away": "✕", "down": "✕" };
// Below this share, skipping the search for small faces is not noticeable.
const NARROWED_ABOVE = 0.1;

export class Stages {
  #items = new Map();

  // `details`: the button that opens the health panel.
  constructor(list, details) {
    this.list = list;
    this.details = details;
    list.hidden = details.hidden = true;
  }

  update(stages) {
    this.list.hidden = this.details.hidden = stages.length === 0;
    const present = new Set();
    for (const stage of stages) {
      const key = `${stage.stage} ${stage.address}`;
      present.add(key);
      if (!this.#items.has(key)) {
        this.#items.set(key, newItem());
        this.list.append(this.#items.get(key));
      }
      fill(this.#items.get(key), stage, shownName(stage, stages));
    }
    for (const [key, item] of this.#items) {
      if (present.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
  }
}

// A stage's name, with its address if there are several of its kind.
function shownName({ stage, address }, stages) {
  return stages.filter((other) => other.stage === stage).length > 1 ? `${stage} ${address}` : stage;
}

function fill(item, stage, shown) {
  const { fps } = stage;
  const state = stage.state === "ready" && isOverloaded(stage) ? "overloaded" : stage.state;
  item.dataset.stage = stage.stage;
  item.dataset.state = state;
  const [sign, name, word, rate, more] = item.children;
  sign.textContent = SIGNS[state] ?? "?";
  name.textContent = shown;
  word.textContent = state === "overloaded" ? `${percent(stage.analyzed)} of frames` : state;
  rate.textContent = fps === null || state === "away" ? "" : `${Math.round(fps)}/s`;
  const text = describe(stage);
  // Not updated if unchanged, so that screen readers are not disturbed.
  if (more.textContent !== text) more.textContent = text;
}

// The description of a stage, in words.
export function describe(stage) {
  const { address, state, reason, fps, whole_only: narrowed } = stage;
  const words = [state === "ready" ? "ready" : reason || state];
  if (fps !== null && state !== "away") words.push(`${fps.toFixed(1)} frames/s`);
  if (isOverloaded(stage)) words.push(analyzedText(stage));
  if (narrowed > NARROWED_ABOVE) words.push(`${percent(narrowed)} without a search for small faces`);
  const help = isOverloaded(stage) ? ` ${helpForStage(stage.stage)}` : "";
  return `${stage.stage} at ${address}: ${words.join(", ")}.${help}`;
}

function newItem() {
  const item = make("li");
  item.tabIndex = 0;
  const sign = make("span", "sign");
  sign.setAttribute("aria-hidden", "true");
  item.append(sign, make("b"), make("span", "word"), make("span", "rate"), make("span", "more"));
  return item;
}
