// The probabilities of each face now, as bars: one for each label that the model gives.

import { make, numberOf, paint, percent } from "./emotions.js";

// More often than this nobody can read a number.
const EVERY_MS = 125;

export class Faces {
  #at = -Infinity;

  constructor(section, settings) {
    this.settings = settings;
    this.list = section.querySelector("#faces");
    this.hint = section.querySelector(".hint");
  }

  clear() {
    this.#at = -Infinity;
    this.#show([]);
  }

  show(facts) {
    const now = performance.now();
    // A frame without results says nothing about faces.
    if (facts.results === "none" || now - this.#at < EVERY_MS) return;
    this.#at = now;
    this.#show([...facts.faces].sort((a, b) => a.track - b.track));
  }

  #show(faces) {
    this.hint.hidden = faces.length > 0;
    while (this.list.children.length > faces.length) this.list.lastChild.remove();
    faces.forEach((face, index) => {
      const card = this.list.children[index] ?? this.list.appendChild(this.#newCard());
      this.#fill(card, face);
    });
  }

  #fill(card, face) {
    const number = numberOf(face.track);
    card.dataset.track = face.track;
    card.setAttribute("aria-label", `Face ${number}`);
    card.querySelector(".badge").textContent = number;
    card.querySelector("h3 .emotion").textContent = face.label;
    paint(card.querySelector("h3"), this.settings.look(face.label));
    this.#keepBars(card, Object.keys(face.smoothed));
    for (const bar of card.querySelectorAll(".bar")) {
      const share = face.smoothed[bar.dataset.emotion] ?? 0;
      bar.classList.toggle("shown", bar.dataset.emotion === face.label);
      bar.setAttribute("aria-valuenow", Math.round(100 * share));
      bar.querySelector(".fill").style.transform = `scaleX(${share})`;
      bar.querySelector(".share").textContent = percent(share);
    }
  }

  #newCard() {
    const card = make("article", "face");
    const title = make("h3");
    title.append(make("i", "badge"), make("span", "emotion"));
    card.append(title);
    return card;
  }

  // New bars only where the labels are others, as after another model has taken over.
  #keepBars(card, labels) {
    const bars = [...card.querySelectorAll(".bar")];
    if (labels.join("\n") === bars.map((bar) => bar.dataset.emotion).join("\n")) return;
    bars.forEach((bar) => bar.remove());
    card.append(...labels.map((label) => newBar(this.settings.look(label))));
  }
}

function newBar(look) {
  const bar = make("div", "bar");
  bar.dataset.emotion = look.label;
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", look.label);
  bar.setAttribute("aria-valuemin", 0);
  bar.setAttribute("aria-valuemax", 100);
  paint(bar, look);
  const rail = make("span", "rail");
  rail.append(make("span", "fill"));
  bar.append(make("span", "name", look.label), rail, make("span", "share"));
  return bar;
}
