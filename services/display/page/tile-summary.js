// Below a tile in the grid: the current faces, and the stream's session shares.

import { make, numberOf, paint, paintFace, percent } from "./emotions.js";
import { labelText } from "./face-states.js";

const MOST_PEOPLE = 12;

export class TileSummary {
  #listed = "";

  constructor(settings) {
    this.settings = settings;
    this.element = make("span", "summary");
    this.people = make("span", "people");
    this.shares = make("span", "share-bar");
    this.shares.setAttribute("role", "img");
    this.element.append(this.people, this.shares);
    this.showShares([]);
  }

  // `faces` as in FaceStates. Unchanged text is not updated.
  showPeople(faces) {
    const people = faces.filter((face) => face.state !== "left out");
    const listed = people.map((face) => `${face.track} ${labelText(face)}`).join("\n");
    if (listed === this.#listed) return;
    this.#listed = listed;
    this.people.replaceChildren(...this.#list(people));
  }

  // `parts` as in Shares.partsOf.
  showShares(parts) {
    const words = parts.map(([style, share]) => `${style.label} ${percent(share)}`).join(", ");
    this.shares.setAttribute("aria-label", `Session shares: ${words || "no face yet"}`);
    this.shares.title = words;
    this.shares.replaceChildren(...parts.map(segment));
  }

  #list(people) {
    const items = people.slice(0, MOST_PEOPLE).map((face) => this.#person(face));
    const more = people.length - MOST_PEOPLE;
    return more > 0 ? [...items, make("span", "", `and ${more} more`)] : items;
  }

  #person(face) {
    const item = make("span", "person");
    const number = numberOf(face.track);
    const badge = make("i", "badge", String(number));
    paintFace(badge, number);
    const label = make("span", face.state === "sure" ? "emotion" : "", labelText(face));
    paint(label, this.settings.styleOf(face.label));
    item.append(badge, label);
    return item;
  }
}

function segment([style, share]) {
  const part = make("span");
  paint(part, style);
  part.style.flexGrow = share;
  return part;
}
