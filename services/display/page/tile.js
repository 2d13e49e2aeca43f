// A stream's tile: its picture, the boxes of exactly that picture, and its state.

import { blurAreas } from "./blur.js";
import { Boxes } from "./boxes.js";
import { FrameCounts } from "./frame-counts.js";
import { byNumber, clockTime, dateTime, make, megabytes } from "./emotions.js";
import { FaceStates } from "./face-states.js";
import { HELP, analyzedText, isOverloaded } from "./overload.js";
import { STANDBY } from "./standby.js";
import { TileSummary } from "./tile-summary.js";

const SILENT_MS = 3000;

// The text below the reason while a source has no picture yet.
const SOURCE_STATES = {
  opening: "Opening the source",
  open: "Waiting for the first picture",
  lost: "Lost, retrying",
  ended: "The source has ended",
  unknown: "Source status unknown",
};

export class Tile {
  #waiting = null;
  #drawing = false;
  #frozen = false;
  #blurs = false;
  #faceStates;

  // `opened(stream)` is called on a click, `drawn(stream)` for each picture that was drawn or
  // skipped for a newer one, `showing(tile)` when `facts` and `faces` belong to another picture.
  constructor(stream, settings, preferences, { opened, drawn, showing }) {
    this.stream = stream;
    this.drawn = drawn;
    this.showing = showing;
    this.facts = null;
    this.faces = [];
    this.kept = [];
    this.state = null;
    this.source = null;
    this.missed = 0;
    this.#faceStates = new FaceStates(preferences);
    this.element = make("figure", "tile");
    this.element.dataset.stream = stream;
    this.view = make("button", "view");
    this.view.type = "button";
    this.view.addEventListener("click", () => opened(stream));
    this.canvas = make("canvas");
    this.boxes = new Boxes(settings);
    this.marks = make("span", "marks");
    this.notice = make("p", "notices");
    this.view.append(this.canvas);
    const stage = make("div", "stage");
    stage.append(this.view, this.boxes.element, this.notice);
    const room = make("div", "room");
    room.append(stage);
    this.figures = make("span", "figures");
    this.frameCounts = new FrameCounts();
    this.summary = new TileSummary(settings);
    this.caption = make("figcaption");
    const parts = [this.marks, this.summary.element, this.figures, this.frameCounts.element];
    this.caption.append(make("b", "", stream), ...parts);
    this.element.append(room, this.caption);
  }

  // One picture is decoded at a time; the newest one that arrives in the meantime waits.
  show(facts, jpeg) {
    if (this.#waiting) this.drawn(this.stream);
    this.#waiting = { facts, faces: this.#faceStates.compute(facts), kept: this.#faceStates.keep(facts), jpeg };
    this.#work();
  }

  // A paused tile keeps its picture; the newest one that arrives waits.
  freeze(on) {
    this.#frozen = on;
    this.#work();
  }

  // Whether faces are blurred, also in a paused picture, in which they stay blurred.
  blur(on) {
    this.#blurs = on;
    this.#blurPicture();
  }

  // Computes the picture's faces again, after the preferences changed.
  refresh() {
    if (this.facts) this.#showFaces(this.#faceStates.compute(this.facts), this.#faceStates.keep(this.facts));
  }

  // `others`: whether there are other streams; `open`: whether this one is open.
  place({ open, others }) {
    this.element.classList.toggle("open", open);
    this.view.disabled = !others;
    const verb = open ? "Back from" : "Open";
    this.view.setAttribute("aria-label", others ? `${verb} ${this.stream}` : this.stream);
  }

  markLost() {
    this.element.classList.add("gone");
  }

  get gone() {
    return this.state !== null && (this.state.ended || this.state.age_ms > SILENT_MS);
  }

  update(state) {
    this.state = state;
    this.element.classList.toggle("gone", this.gone);
    if (this.gone) this.summary.showPeople([]);
    const figures = [`${state.fps.toFixed(0)} frames/s`, `${state.latency_ms.toFixed(0)} ms after capture`];
    this.figures.replaceChildren(...(this.gone ? [] : figures.map((text) => make("span", "", text))));
    this.#showNotice();
  }

  // `source`: its capture's report on it, even before the first picture.
  updateSource(source) {
    this.source = source;
    this.element.dataset.source = source.state;
    this.#showNotice();
  }

  #showNotice() {
    this.element.classList.toggle("empty", this.facts === null);
    const [first, ...others] = this.#noticeLines().filter(Boolean);
    const text = [first, ...others].join("\n");
    if (text === this.notice.dataset.text) return;
    this.notice.dataset.text = text;
    const notice = make("span", "notice", first);
    notice.append(...others.map((line) => make("span", "detail", line)));
    this.notice.replaceChildren(...(first ? [notice] : []));
  }

  // Why no pictures arrive and since when, or a message about those that do.
  #noticeLines() {
    const { state, source } = this;
    const reason = source?.reason;
    if (state === null) return [reason, SOURCE_STATES[source?.state]];
    if (state.ended) return [reason, "The source has ended"];
    if (this.gone) return [reason, `No frame since ${dateTime(Date.now() - state.age_ms)}`];
    if (state.stale) return ["Emotions are stale: the classifier is not responding"];
    const overload = isOverloaded(state) ? [analyzedText(state), HELP] : [];
    return state.standby ? [capitalized(STANDBY), ...overload] : overload;
  }

  // The picture's own faces, and recent ones that should still be visible.
  get shown() {
    return [...this.faces, ...this.kept].sort(byNumber);
  }

  // The stream's states: recording, blurred, paused.
  // `video`: the file to which it is being recorded, null while unknown.
  mark({ recording, video, blur, paused }) {
    const marks = [];
    if (paused && this.facts) marks.push(["paused", `paused at ${clockTime(this.facts.t)}`]);
    if (recording) marks.push(["recording", ...recordingWords(video)]);
    if (blur) marks.push(["blurred", "faces blurred"]);
    const text = marks.flat().join("\n");
    if (text === this.marks.dataset.text) return;
    this.marks.dataset.text = text;
    this.marks.replaceChildren(...marks.map(markOf));
  }

  async #work() {
    if (this.#drawing) return;
    this.#drawing = true;
    while (this.#waiting && !this.#frozen) {
      const next = this.#waiting;
      this.#waiting = null;
      await this.#draw(next);
      this.drawn(this.stream);
    }
    this.#drawing = false;
  }

  async #draw({ facts, faces, kept, jpeg }) {
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
      this.element.style.setProperty("--ratio", picture.width / picture.height);
    }
    canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
    picture.close();
    this.element.dataset.seq = facts.seq;
    this.facts = facts;
    this.#blurPicture();
    this.#showNotice();
    this.#showFaces(faces, kept);
  }

  #blurPicture() {
    if (!this.#blurs || this.facts === null || this.facts.blurred) return;
    blurAreas(this.canvas, this.facts.blur_areas, this.facts.width);
    this.facts = { ...this.facts, blurred: true };
  }

  #showFaces(faces, kept) {
    this.faces = faces;
    this.kept = kept;
    this.showing(this);
    this.boxes.show(this.facts, this.shown);
    this.summary.showPeople(this.shown);
  }
}

// How much is recorded, and to which file if the tile has enough space.
function recordingWords(video) {
  return video ? [`recording, ${megabytes(video.bytes)}`, `to ${video.path}`] : ["recording"];
}

const capitalized = (text) => text[0].toUpperCase() + text.slice(1);

function markOf([name, words, detail = ""]) {
  const mark = make("span", `mark ${name}`, words);
  if (detail) {
    mark.append(" ", make("span", "detail", detail));
    mark.title = detail;
  }
  return mark;
}
