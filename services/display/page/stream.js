// A stream's tile: the picture, and over it a box for each face of exactly that picture.

import { inkFor } from "./colors.js";

export class StreamTile {
  #drawnSeq = -1;
  #run = "";

  constructor(name, settings, parent, onSelect) {
    this.settings = settings;
    this.figure = document.createElement("figure");
    this.figure.className = "stream";
    this.figure.dataset.stream = name;
    this.button = document.createElement("button");
    this.button.className = "view";
    this.button.type = "button";
    this.button.setAttribute("aria-label", `Stream ${name}`);
    this.button.addEventListener("click", onSelect);
    this.canvas = document.createElement("canvas");
    this.overlay = document.createElement("div");
    this.overlay.className = "overlay";
    this.text = document.createElement("figcaption");
    this.text.append(name);
    this.button.append(this.canvas, this.overlay);
    this.figure.append(this.button, this.text);
    this.name = name;
    parent.append(this.figure);
  }

  select(on) {
    this.figure.classList.toggle("selected", on);
    this.button.setAttribute("aria-pressed", String(on));
  }

  only(on) {
    this.figure.classList.toggle("only", on);
  }

  lost() {
    this.figure.classList.add("gone");
  }

  async show(frame, blob) {
    const picture = await createImageBitmap(blob);
    // Pictures are decoded side by side; one that was overtaken must not come after a newer one.
    const overtaken = frame.run === this.#run && frame.seq <= this.#drawnSeq;
    if (!overtaken) {
      this.#run = frame.run;
      this.#drawnSeq = frame.seq;
      this.#draw(frame, picture);
    }
    picture.close();
  }

  #draw(frame, picture) {
    if (this.canvas.width !== frame.width || this.canvas.height !== frame.height) {
      this.canvas.width = frame.width;
      this.canvas.height = frame.height;
    }
    this.canvas.getContext("2d").drawImage(picture, 0, 0, frame.width, frame.height);
    this.canvas.dataset.seq = frame.seq;
    this.overlay.dataset.seq = frame.seq;
    this.#drawBoxes(frame);
    this.figure.classList.remove("gone");
  }

  #drawBoxes(frame) {
    while (this.overlay.children.length > frame.faces.length) this.overlay.lastChild.remove();
    frame.faces.forEach((face, index) => {
      const box = this.overlay.children[index] ?? this.overlay.appendChild(newBox());
      const [x, y, width, height] = face.box;
      const color = this.settings.colors[face.label] ?? "#ffffff";
      box.dataset.track = face.track;
      box.dataset.label = face.label;
      box.setAttribute("aria-label", `face ${face.number}: ${face.label}`);
      box.style.left = `${(100 * x) / frame.width}%`;
      box.style.top = `${(100 * y) / frame.height}%`;
      box.style.width = `${(100 * width) / frame.width}%`;
      box.style.height = `${(100 * height) / frame.height}%`;
      box.style.setProperty("--color", color);
      box.style.setProperty("--ink", inkFor(color));
      box.classList.toggle("top", y < 0.06 * frame.height);
      box.firstChild.textContent = `${face.label} ${Math.round(100 * face.confidence)}%`;
    });
  }

  caption(state) {
    const name = document.createElement("b");
    name.textContent = this.name;
    this.text.replaceChildren(name, `${state.fps} frames/s`);
    if (state.latency_ms !== null) this.text.append(span(`${state.latency_ms} ms from capture`));
    const notice = noticeOf(state);
    if (notice) this.text.append(span(notice, "notice"));
    if (state.silent_s > 3) this.lost();
  }
}

function noticeOf(state) {
  if (state.ended) return "the source has ended";
  if (state.silent_s > 3) return `no picture for ${Math.round(state.silent_s)} s`;
  return state.stale ? "emotions are stale: no answer from the classifier" : "";
}

function newBox() {
  const box = document.createElement("div");
  box.className = "box";
  box.setAttribute("role", "img");
  box.append(document.createElement("span"));
  return box;
}

function span(text, className = "") {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}
