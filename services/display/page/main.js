// Hands what comes from the server to the parts of the page, and what the viewer wants to them.

import { Choices } from "./choices.js";
import { Commands } from "./commands.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { loadSettings } from "./emotions.js";
import { Events } from "./events.js";
import { Faces } from "./faces.js";
import { Panel } from "./panel.js";
import { Shares } from "./shares.js";
import * as shortcuts from "./shortcuts.js";
import { snapshot } from "./snapshot.js";
import { Stages } from "./stages.js";
import { Timeline } from "./timeline.js";
import { Toast } from "./toast.js";
import { Wall } from "./wall.js";

const THEMES = ["auto", "dark", "light"];
const THRESHOLD_STEP = 0.05;
const part = (id) => document.getElementById(id);

const choices = new Choices();
const settings = await loadSettings();
const toast = new Toast(part("toast"));
const stages = new Stages(part("stages"));
const faces = new Faces(part("faces-part"), settings, choices);
const timeline = new Timeline(part("timeline-part"), settings, choices);
const shares = new Shares(part("shares-part"), settings, choices);
const events = new Events(part("events-part"), part("announcer"), settings, choices);
const panel = new Panel(part("panel"), settings, choices);
const commands = new Commands(part("token"), { say: (text) => toast.say(text), changed: showControls });

const wall = new Wall(part("streams"), part("places"), settings, choices, {
  drawn: (stream) => connection.confirm(stream),
  showing(tile) {
    tile.faces.slice(0, 1).forEach((face) => settings.arrange(Object.keys(face.smoothed)));
    if (tile !== wall.tile) return;
    faces.show(tile.facts, tile.faces, wall.paused);
    timeline.name(tile.facts);
  },
  changed() {
    connection.settle();
    showStream();
    showControls();
  },
});

const actions = {
  pause: () => wall.pause(!wall.paused),
  open: (index) => wall.openAt(index),
  all: () => wall.open(null),
  previous: () => wall.step(-1),
  next: () => wall.step(1),
  snapshot: ofStream(async (stream) => {
    const tile = wall.tileOf(stream);
    if (tile.facts) toast.say(`Saved ${await snapshot(tile, settings, choices)}.png and .json`);
  }),
  record: ofStream((stream) => commands.toggle(stream, "record")),
  blur: ofStream((stream) => {
    wall.pause(false); // A picture that stands still would go on showing the faces.
    commands.toggle(stream, "blur");
  }),
  lower: () => threshold(-THRESHOLD_STEP),
  raise: () => threshold(THRESHOLD_STEP),
  view: () => part("panel").togglePopover(),
  theme: () => choices.change({ theme: THEMES[(THEMES.indexOf(choices.theme) + 1) % THEMES.length] }),
  help: () => part("help").showModal(),
};
const controls = new Controls(part("controls"), actions);
shortcuts.list(part("help"));
shortcuts.listen(actions, choices);
choices.follow(showControls);
showControls();

const connection = new Connection({
  watches: (stream) => wall.watches(stream),

  opened() {
    tellConnection("live", true);
  },

  closed() {
    tellConnection("no connection, trying again", false);
    stages.tell([]);
    for (const tile of wall.tiles.values()) tile.lose();
  },

  picture(facts, jpeg) {
    wall.tileOf(facts.stream).show(facts, jpeg);
  },

  news(news) {
    settings.learn(news.labels);
    panel.list();
    if (news.complete) {
      timeline.clear();
      events.clear();
    }
    for (const [stream, state] of Object.entries(news.streams)) wall.tileOf(stream).tell(state);
    timeline.take(news);
    shares.take(news.spans);
    events.add(news.events, !news.complete);
    stages.tell(news.stages ?? []);
    tellAccounts(news.accounts ?? []);
    commands.tell(news.controls ?? { token: false, streams: {} });
    if (!wall.tile) return;
    timeline.draw();
    shares.draw();
    if (wall.tile.state) faces.tell(wall.tile.state, wall.tile.gone);
  },
});

function tellConnection(text, live) {
  part("connection").textContent = text;
  part("connection").classList.toggle("live", live);
}

function tellAccounts(accounts) {
  for (const [stream, tile] of wall.tiles) {
    tile.account.tell(accounts.filter((account) => account.stream === stream));
  }
}

function showStream() {
  const { stream, tile } = wall;
  document.title = stream === null ? "emostream" : `${stream} · emostream`;
  for (const id of ["timeline-title", "faces-title"]) {
    part(id).querySelector("small").textContent = wall.tiles.size > 1 ? `of ${stream}` : "";
  }
  faces.clear();
  if (tile?.facts) faces.show(tile.facts, tile.faces, true);
  events.select(stream);
  if (stream === null) return;
  timeline.select(stream);
  shares.select(stream);
}

function showControls() {
  const { stream } = wall;
  const state = (command) => (stream === null ? null : commands.state(stream, command));
  controls.show({
    paused: wall.paused,
    stream,
    record: state("record"),
    blur: state("blur"),
    summary: choices.summary,
  });
  for (const [name, tile] of wall.tiles) {
    tile.mark({
      recording: commands.state(name, "record")?.on,
      blur: commands.state(name, "blur")?.on,
      paused: wall.paused,
    });
  }
}

function threshold(by) {
  const wanted = Math.min(Math.max(choices.threshold + by, 0), 0.95);
  choices.change({ threshold: Math.round(100 * wanted) / 100 });
}

// An action on the stream that has the window.
function ofStream(act) {
  return () => {
    if (wall.stream === null) toast.say("Open a stream first: click on it, or press its number.");
    else act(wall.stream);
  };
}
