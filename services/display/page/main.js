// Connects to the server and hands what comes to the parts of the page.

import { showEvents } from "./events.js";
import { showFaces } from "./faces.js";
import { StreamTile } from "./stream.js";
import { Timeline } from "./timeline.js";

const RECONNECT_MS = 1000;
const FACES_EVERY_MS = 120;

const settings = await (await fetch("/settings.json")).json();
const connection = document.getElementById("connection");
const tiles = new Map();
const timeline = new Timeline(document.getElementById("timeline"), settings);
let selected = null;
let facesShownAt = 0;
let state = null;

function tile(name) {
  if (!tiles.has(name)) {
    document.getElementById("waiting")?.remove();
    tiles.set(name, new StreamTile(name, settings, document.getElementById("streams"), () => select(name)));
    if (selected === null) select(name);
    for (const each of tiles.values()) each.only(tiles.size === 1);
  }
  return tiles.get(name);
}

function select(name) {
  selected = name;
  for (const [each, one] of tiles) one.select(each === name);
  if (state) showState();
}

function showState() {
  for (const [name, stream] of Object.entries(state.streams)) tile(name).caption(stream);
  const stream = state.streams[selected];
  if (!stream) return;
  showEvents(document.getElementById("events"), stream.events, settings);
  timeline.show(stream.timeline, state.now);
}

// A frame's message: the length of the JSON, the JSON, the picture as JPEG.
async function showFrame(data) {
  const length = new DataView(data).getUint32(0);
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  await tile(frame.stream).show(frame, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
  const now = performance.now();
  if (frame.stream === selected && now - facesShownAt > FACES_EVERY_MS) {
    facesShownAt = now;
    showFaces(document.getElementById("faces"), frame.faces, settings);
  }
}

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  const tellVisible = () => socket.readyState === WebSocket.OPEN
    && socket.send(JSON.stringify({ visible: document.visibilityState === "visible" }));
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    connection.textContent = "live";
    connection.classList.add("live");
    tellVisible();
  };
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return showFrame(data);
    state = JSON.parse(data);
    showState();
  };
  socket.onclose = () => {
    document.removeEventListener("visibilitychange", tellVisible);
    connection.textContent = "no connection to the display; trying again";
    connection.classList.remove("live");
    for (const each of tiles.values()) each.lost();
    setTimeout(connect, RECONNECT_MS);
  };
  document.addEventListener("visibilitychange", tellVisible);
}

connect();
