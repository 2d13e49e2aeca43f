// A message that goes by itself.

const FOR_MS = 8000;

export class Toast {
  #timer = 0;

  constructor(element) {
    this.element = element;
  }

  say(text) {
    clearTimeout(this.#timer);
    this.element.hidden = false;
    this.element.textContent = text;
    this.#timer = setTimeout(() => { this.element.hidden = true; }, FOR_MS);
  }
}
