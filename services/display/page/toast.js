// A message that disappears by itself.

const SHOWN_MS = 8000;

export class Toast {
  #timer = 0;

  constructor(element) {
    this.element = element;
  }

  show(text) {
    clearTimeout(this.#timer);
    this.element.hidden = false;
    this.element.textContent = text;
    this.#timer = setTimeout(() => { this.element.hidden = true; }, SHOWN_MS);
  }
}
