// Hands what comes from the server to the parts of the page.

import { Connection } from "./connection.js";
import { loadSettings } from "./emotions.js";
import { Events } from "./events.js";
import { Faces } from "./faces.js";
import { Tile } from "./tile.js";
import { Timeline } from "./timeline.js";

const part = (id) => document.getElementById(id);

const settings = await loadSettings();
const faces = new Faces(part("faces-part"), settings);
const timeline = new Timeline(part("timeline-part"), settings);
const events = new Events(part("events-part"), settings);
const tiles = new Map();
let selected = null;

const connection = new Connection({
  opened() {
    tellConnection("live", true);
  },

  closed() {
    tellConnection("no connection, trying again", false);
    for (const tile of tiles.values()) tile.lose();
  },

  picture(facts, jpeg) {
    tileOf(facts.stream).show(facts, jpeg);
    if (facts.stream === selected) {
      faces.show(facts);
      timeline.name(facts);
    }
  },

  news(news) {
    settings.learn(news.labels);
    if (news.complete) {
      timeline.clear();
      events.clear();
    }
    for (const [stream, state] of Object.entries(news.streams)) tileOf(stream).tell(state);
    timeline.take(news);
    timeline.draw();
    events.add(news.events, tiles.size > 1);
  },
});

function tellConnection(text, live) {
  part("connection").textContent = text;
  part("connection").classList.toggle("live", live);
}

function tileOf(stream) {
  if (!tiles.has(stream)) {
    part("waiting")?.remove();
    const drawn = (name) => connection.confirm(name);
    const tile = new Tile(stream, settings, { selected: select, drawn });
    tiles.set(stream, tile);
    part("streams").append(tile.element);
    select(selected ?? stream);
  }
  return tiles.get(stream);
}

function select(stream) {
  const alone = tiles.size === 1;
  for (const [name, tile] of tiles) tile.select(name === stream, alone);
  for (const note of document.querySelectorAll("h2 small")) {
    note.textContent = alone ? "" : `of ${stream}`;
  }
  if (stream === selected) return;
  selected = stream;
  faces.clear();
  timeline.select(stream);
}
