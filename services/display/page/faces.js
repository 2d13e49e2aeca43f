// The current probabilities of each face, as one bar per label of the model.

import { byNumber, make, numberOf, paint, paintFace, percent } from "./emotions.js";

// Numbers that change more often than this are not readable.
const EVERY_MS = 125;
const NOBODY = "No face in view.";
const UNJUDGED = "No usable face: too small, too dark, blurred or turned away.";
const STALE = "Emotions are stale: the classifier is not responding.";

export class Faces {
  #at = -Infinity;

  constructor(section, settings, preferences) {
    this.section = section;
    this.settings = settings;
    this.preferences = preferences;
    this.list = section.querySelector("#faces");
    this.hint = section.querySelector(".hint");
    this.nobody = NOBODY;
  }

  clear() {
    this.#at = -Infinity;
    this.#show([]);
  }

  // `now`: immediately, regardless of the last update.
  show(facts, faces, now = false) {
    const time = performance.now();
    // A frame without results has no faces, unless some are kept from an earlier one.
    if ((facts.results === "none" && faces.length === 0) || (!now && time - this.#at < EVERY_MS)) return;
    this.#at = time;
    const judged = faces.filter((face) => face.state !== "left out");
    this.nobody = judged.length < faces.length ? UNJUDGED : NOBODY;
    if (this.hint.textContent !== STALE) this.hint.textContent = this.nobody;
    this.#show(judged.sort(byNumber));
  }

  // Old bars must not look like new ones.
  updateState({ stale }, gone) {
    this.section.classList.toggle("old", gone);
    this.hint.textContent = stale ? STALE : this.nobody;
    if (stale) this.clear();
  }

  #show(faces) {
    this.hint.hidden = faces.length > 0;
    while (this.list.children.length > faces.length) this.list.lastChild.remove();
    faces.forEach((face, index) => {
      const card = this.list.children[index] ?? this.list.appendChild(newCard());
      this.#fill(card, face);
    });
  }

  #fill(card, face) {
    const number = numberOf(face.track);
    card.dataset.track = face.track;
    card.dataset.state = face.state;
    card.setAttribute("aria-label", `Face ${number}`);
    card.querySelector(".badge").textContent = number;
    paintFace(card, number);
    card.querySelector("h3 .emotion").textContent = face.state === "other" ? "other" : face.label;
    card.querySelector("h3 small").textContent = face.state === "unsure" ? "unsure" : "";
    card.querySelector("h3 .own").textContent = face.streamLabel ? `* stream: ${face.streamLabel}` : "";
    paint(card.querySelector("h3"), this.settings.styleOf(face.label));
    this.#keepBars(card, Object.keys(face.shares).filter((label) => this.preferences.shows(label)));
    for (const bar of card.querySelectorAll(".bar")) {
      const share = face.shares[bar.dataset.emotion] ?? 0;
      bar.classList.toggle("shown", bar.dataset.emotion === face.label);
      bar.setAttribute("aria-valuenow", Math.round(100 * share));
      bar.querySelector(".fill").style.transform = `scaleX(${share})`;
      bar.querySelector(".share").textContent = percent(share);
    }
  }

  // New bars only if the labels differ, as after a change of the model.
  #keepBars(card, labels) {
    const bars = [...card.querySelectorAll(".bar")];
    if (labels.join("\n") === bars.map((bar) => bar.dataset.emotion).join("\n")) return;
    bars.forEach((bar) => bar.remove());
    card.append(...labels.map((label) => newBar(this.settings.styleOf(label))));
  }
}

function newCard() {
  const card = make("article", "face");
  const title = make("h3");
  title.append(make("i", "badge"), make("span", "emotion"), make("small"), make("span", "own"));
  card.append(title);
  return card;
}

function newBar(style) {
  const bar = make("div", "bar");
  bar.dataset.emotion = style.label;
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", style.label);
  bar.setAttribute("aria-valuemin", 0);
  bar.setAttribute("aria-valuemax", 100);
  paint(bar, style);
  const rail = make("span", "rail");
  rail.append(make("span", "fill"));
  bar.append(make("span", "name", style.label), rail, make("span", "share"));
  return bar;
}
