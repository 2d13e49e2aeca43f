// A stream's tile: its picture, the boxes of exactly that picture, and its state.

import { clockTime, make, numberOf, paint, percent } from "./emotions.js";

const SILENT_MS = 3000;
// A single frame without results must not make the boxes blink.
const KEEP_BOXES_MS = 300;

export class Tile {
  #waiting = null;
  #drawing = false;
  #boxed = -Infinity;

  // `drawn(stream)` is told of each picture that was drawn or left out for a newer one.
  constructor(stream, settings, { selected, drawn }) {
    this.stream = stream;
    this.settings = settings;
    this.drawn = drawn;
    this.element = make("figure", "tile");
    this.element.dataset.stream = stream;
    this.view = make("button", "view");
    this.view.type = "button";
    this.view.setAttribute("aria-label", `Show the faces of ${stream}`);
    this.view.addEventListener("click", () => selected(stream));
    this.canvas = make("canvas");
    this.overlay = make("div", "overlay");
    this.view.append(this.canvas);
    const stage = make("div", "stage");
    stage.append(this.view, this.overlay);
    this.caption = make("figcaption");
    this.element.append(stage, this.caption);
  }

  // One picture is decoded at a time; of those that come meanwhile the newest waits.
  async show(facts, jpeg) {
    if (this.#waiting) this.drawn(this.stream);
    this.#waiting = { facts, jpeg };
    if (this.#drawing) return;
    this.#drawing = true;
    while (this.#waiting) {
      const next = this.#waiting;
      this.#waiting = null;
      await this.#draw(next.facts, next.jpeg);
      this.drawn(this.stream);
    }
    this.#drawing = false;
  }

  select(on, alone) {
    this.element.classList.toggle("selected", on && !alone);
    this.view.setAttribute("aria-pressed", String(on));
    this.view.disabled = alone;
  }

  lose() {
    this.element.classList.add("gone");
  }

  tell(state) {
    const silent = state.age_ms > SILENT_MS;
    this.element.classList.toggle("gone", silent || state.ended);
    const parts = [make("b", "", this.stream)];
    if (state.ended) {
      parts.push(make("span", "notice", "The source has ended"));
    } else if (silent) {
      const last = clockTime(Date.now() - state.age_ms);
      parts.push(make("span", "notice", `No frame since ${last}`));
    } else {
      parts.push(make("span", "", `${state.fps.toFixed(0)} frames/s`));
      parts.push(make("span", "", `shown ${state.latency_ms.toFixed(0)} ms after capture`));
      if (state.stale) parts.push(make("span", "notice", "Emotions are stale: the classifier is silent"));
    }
    this.caption.replaceChildren(...parts);
  }

  async #draw(facts, jpeg) {
    let picture;
    try {
      picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    } catch {
      return; // A broken JPEG from a camera: the next one comes soon.
    }
    await new Promise(requestAnimationFrame);
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
    picture.close();
    this.element.dataset.seq = facts.seq;
    this.#box(facts);
  }

  #box(facts) {
    if (facts.results === "none" && performance.now() - this.#boxed < KEEP_BOXES_MS) return;
    if (facts.results !== "none") this.#boxed = performance.now();
    this.overlay.dataset.seq = facts.seq;
    while (this.overlay.children.length > facts.faces.length) this.overlay.lastChild.remove();
    facts.faces.forEach((face, index) => {
      const box = this.overlay.children[index] ?? this.overlay.appendChild(newBox());
      this.#place(box, face, facts);
    });
  }

  #place(box, face, { width, height }) {
    const [x, y, across, down] = face.box;
    const number = numberOf(face.track);
    box.dataset.track = face.track;
    box.dataset.label = face.label;
    box.setAttribute("aria-label", `Face ${number}: ${face.label}, ${percent(face.confidence)}`);
    box.style.left = `${(100 * x) / width}%`;
    box.style.top = `${(100 * y) / height}%`;
    box.style.width = `${(100 * across) / width}%`;
    box.style.height = `${(100 * down) / height}%`;
    box.classList.toggle("top", y < 0.07 * height);
    box.classList.toggle("right", x > 0.7 * width);
    paint(box, this.settings.look(face.label));
    const [badge, label, share] = box.firstChild.children;
    badge.textContent = number;
    label.textContent = face.label;
    share.textContent = percent(face.confidence);
  }
}

function newBox() {
  const box = make("div", "box");
  box.setAttribute("role", "img");
  const name = make("span", "name");
  name.append(make("i", "badge"), make("b"), make("span"));
  box.append(name);
  return box;
}
