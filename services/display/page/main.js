// Connects the parts of the page: passes on what the server sends and what the viewer does.

import { Preferences } from "./preferences.js";
import { Commands } from "./commands.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { learnNumbers, loadSettings } from "./emotions.js";
import { Events } from "./events.js";
import { Faces } from "./faces.js";
import { Health } from "./health.js";
import { Panel } from "./panel.js";
import { Shares } from "./shares.js";
import * as shortcuts from "./shortcuts.js";
import { snapshot } from "./snapshot.js";
import { Stages } from "./stages.js";
import { Timeline } from "./timeline.js";
import { Toast } from "./toast.js";
import { TileGrid } from "./tile-grid.js";

const THEMES = ["auto", "dark", "light"];
const THRESHOLD_STEP = 0.05;
const part = (id) => document.getElementById(id);

const preferences = new Preferences();
const settings = await loadSettings();
showUnencrypted();
const toast = new Toast(part("toast"));
const stages = new Stages(part("stages"), part("details"));
const health = new Health(part("health"));
const faces = new Faces(part("faces-part"), settings, preferences);
const timeline = new Timeline(part("timeline-part"), settings, preferences);
const shares = new Shares(part("shares-part"), settings, preferences);
const events = new Events(part("events-part"), part("announcer"), settings, preferences);
const panel = new Panel(part("panel"), settings, preferences);
const commands = new Commands(part("token"), settings.role, { notify: (text) => toast.show(text), changed: showControls });

const grid = new TileGrid(part("streams"), part("places"), settings, preferences, {
  drawn: (stream) => connection.confirm(stream),
  showing(tile) {
    tile.facts.faces.slice(0, 1).forEach((face) => settings.orderLabels(Object.keys(face.smoothed)));
    if (tile !== grid.tile) return;
    faces.show(tile.facts, tile.shown, grid.paused);
    timeline.setLabels(tile.facts);
    panel.enableSensitivity(Object.keys(tile.facts.prior).length > 0 || tile.facts.results === "none");
  },
  changed() {
    connection.confirmOwed();
    showStream();
    showControls();
  },
});

const actions = {
  pause: () => grid.pause(!grid.paused),
  open: (index) => grid.openAt(index),
  all: () => grid.open(null),
  previous: () => grid.step(-1),
  next: () => grid.step(1),
  snapshot: ofStream(async (stream) => {
    const tile = grid.tileOf(stream);
    if (tile.facts) toast.show(`Saved ${await snapshot(tile, settings, preferences)}.png and .json`);
  }),
  record: () => commands.toggle(grid.chosen, "record"),
  blur: () => commands.toggle(grid.chosen, "blur"),
  lower: () => threshold(-THRESHOLD_STEP),
  raise: () => threshold(THRESHOLD_STEP),
  view: () => part("panel").togglePopover(),
  theme: () => preferences.change({ theme: THEMES[(THEMES.indexOf(preferences.theme) + 1) % THEMES.length] }),
  help: () => part("help").showModal(),
  leave: () => signOut(),
};
const controls = new Controls(part("controls"), actions);
shortcuts.list(part("help"));
shortcuts.listen(actions, preferences);
preferences.onChange(showControls);
showControls();

const connection = new Connection({
  isWatched: (stream) => grid.isWatched(stream),

  opened() {
    showConnection("live", true);
  },

  closed() {
    showConnection("disconnected, retrying", false);
    stages.update([]);
    for (const tile of grid.tiles.values()) tile.markLost();
  },

  full() {
    showConnection("too many viewers, retrying", false);
  },

  picture(facts, jpeg) {
    grid.tileOf(facts.stream).show(facts, jpeg);
  },

  update(update) {
    settings.addStyles(update.labels);
    learnNumbers(update.numbers);
    panel.list();
    if (update.complete) {
      timeline.clear();
      events.clear();
    }
    for (const [stream, state] of Object.entries(update.streams)) grid.tileOf(stream).update(state);
    grid.arrange(update.sources ?? []);
    for (const stream of grid.keep(Object.keys(update.streams))) {
      timeline.forget(stream);
      shares.forget(stream);
    }
    timeline.update(update);
    shares.add(update.spans);
    shares.count(update.streams);
    events.add(update.events, !update.complete);
    stages.update(update.stages ?? []);
    updateFrameCounts(update.accounts ?? []);
    health.update(update.stages ?? [], update.accounts ?? [], update.streams);
    for (const [stream, tile] of grid.tiles) tile.summary.showShares(shares.partsOf(stream));
    commands.update(update.controls ?? { token: false, streams: {} });
    if (!grid.tile) return;
    timeline.draw();
    shares.draw();
    if (grid.tile.state) faces.updateState(grid.tile.state, grid.tile.gone);
  },
});

function showConnection(text, live) {
  part("connection").textContent = text;
  part("connection").classList.toggle("live", live);
}

// Anyone on the network can read this, unless the page is on this machine.
function showUnencrypted() {
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
  const isPlain = settings.role !== null && location.protocol === "http:" && !isLocal;
  part("unencrypted").hidden = !settings.security_disabled && !isPlain;
  part("unencrypted").title = settings.security_disabled
    ? 'security.mode is "disabled": anyone on the network can read and publish'
    : "This page is served over HTTP: anyone on the network can read it, including the token";
}

async function signOut() {
  await fetch("signout", { method: "POST" }).catch(() => null);
  location.assign("signin");
}

function updateFrameCounts(accounts) {
  for (const [stream, tile] of grid.tiles) {
    tile.frameCounts.update(accounts.filter((account) => account.stream === stream));
  }
}

function showStream() {
  const { stream, tile } = grid;
  document.title = stream === null ? "emostream" : `${stream} · emostream`;
  for (const id of ["timeline-title", "faces-title"]) {
    part(id).querySelector("small").textContent = grid.tiles.size > 1 ? `of ${stream}` : "";
  }
  faces.clear();
  if (tile?.facts) faces.show(tile.facts, tile.shown, true);
  events.select(stream);
  if (stream === null) return;
  timeline.select(stream);
  shares.select(stream);
}

function showControls() {
  const { stream } = grid;
  const state = (command) => commands.mayGive ? commands.stateOfAll(grid.chosen, command) : null;
  controls.show({
    paused: grid.paused,
    stream,
    record: state("record"),
    blur: state("blur"),
    summary: preferences.summary,
    isSignedIn: settings.role !== null,
  });
  for (const [name, tile] of grid.tiles) {
    tile.mark({
      recording: commands.state(name, "record")?.on,
      video: commands.video(name),
      blur: commands.state(name, "blur")?.on,
      paused: grid.paused,
    });
    tile.blur(commands.arePicturesBlurred(name));
  }
}

function threshold(by) {
  const wanted = Math.min(Math.max(preferences.threshold + by, 0), 0.95);
  preferences.change({ threshold: Math.round(100 * wanted) / 100 });
}

// An action on the open stream.
function ofStream(act) {
  return () => {
    if (grid.stream === null) toast.show("Open a stream first: click it or press its number.");
    else act(grid.stream);
  };
}
