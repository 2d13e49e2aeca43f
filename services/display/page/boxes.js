// The faces' boxes over a picture: elements, so that tests and screen readers see them.

import { make, numberOf, paint, paintFace, percent } from "./emotions.js";
import { labelText } from "./face-states.js";

export class Boxes {
  constructor(settings) {
    this.settings = settings;
    this.element = make("div", "overlay");
  }

  show(facts, faces) {
    this.element.dataset.seq = facts.seq;
    while (this.element.children.length > faces.length) this.element.lastChild.remove();
    faces.forEach((face, index) => {
      const box = this.element.children[index] ?? this.element.appendChild(newBox());
      this.#place(box, face, facts);
    });
  }

  // The box has the face's color, its label the emotion's.
  #place(box, face, { width, height }) {
    const [x, y, across, down] = face.box;
    box.dataset.track = face.track;
    box.dataset.label = face.label;
    box.dataset.state = face.state;
    box.dataset.kept = face.kept === true;
    box.dataset.streamLabel = face.streamLabel;
    box.setAttribute("aria-label", spoken(face));
    box.style.left = `${(100 * x) / width}%`;
    box.style.top = `${(100 * y) / height}%`;
    box.style.width = `${(100 * across) / width}%`;
    box.style.height = `${(100 * down) / height}%`;
    box.classList.toggle("top", y < 0.07 * height);
    box.classList.toggle("right", x > 0.7 * width);
    paintFace(box, numberOf(face.track));
    paint(box, this.settings.styleOf(face.label));
    const [badge, label, share] = box.firstChild.children;
    badge.textContent = numberOf(face.track);
    label.textContent = labelText(face);
    share.textContent = face.label === "" || face.state === "other" ? "" : percent(face.confidence);
  }
}

function spoken(face) {
  if (face.state === "left out") return "A face, left out: low quality";
  const name = `Face ${numberOf(face.track)}${face.kept ? " a moment ago" : ""}`;
  if (face.state === "other") return `${name}: an emotion that is not selected`;
  const own = face.streamLabel ? `, with your sensitivity; the stream says ${face.streamLabel}` : "";
  const words = `${face.label}, ${percent(face.confidence)}${own}`;
  return face.state === "unsure" ? `${name}: unsure, ${words}` : `${name}: ${words}`;
}

function newBox() {
  const box = make("div", "box");
  box.setAttribute("role", "img");
  const name = make("span", "name");
  name.append(make("i", "badge"), make("b"), make("span"));
  box.append(name);
  return box;
}
