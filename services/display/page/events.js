// The list of what happened, newest first.

import { clockTime, make, numberOf, paint } from "./emotions.js";

const MOST = 100;

export class Events {
  constructor(section, settings) {
    this.settings = settings;
    this.list = section.querySelector("#events");
    this.hint = section.querySelector(".hint");
  }

  clear() {
    this.list.replaceChildren();
    this.hint.hidden = false;
  }

  // `several`: name the stream too.
  add(events, several) {
    this.hint.hidden ||= events.length > 0;
    this.list.prepend(...events.slice(-MOST).reverse().map((event) => this.#item(event, several)));
    while (this.list.children.length > MOST) this.list.lastChild.remove();
  }

  #item(event, several) {
    const item = make("li");
    item.dataset.kind = event.kind;
    item.append(make("time", "", clockTime(event.t)));
    if (several) item.append(make("span", "stream", event.stream));
    item.append(make("i", "badge", String(numberOf(event.track))));
    const words = make("span", "words");
    words.append(...this.#words(event));
    item.append(words);
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
    paint(element, this.settings.look(label));
    return element;
  }
}
