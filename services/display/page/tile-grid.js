// The streams: all as tiles that fill the window, or a single open stream.

import { make } from "./emotions.js";
import { Tile } from "./tile.js";

// The aspect ratio of most cameras; other pictures are fitted in.
const RATIO = 16 / 9;
const HASH = "#stream=";

export class TileGrid {
  paused = false;
  tiles = new Map();
  #configured = []; // the names of the configured sources, in their order
  #stream; // undefined until the first layout

  // `handlers`: drawn(stream) and showing(tile) as for a tile; changed() when another stream (or
  // the grid) is open, or when the page is paused or resumed.
  constructor(section, nav, settings, preferences, handlers) {
    this.section = section;
    this.nav = nav;
    this.main = section.closest("main");
    this.settings = settings;
    this.preferences = preferences;
    this.handlers = handlers;
    new ResizeObserver(() => this.#fitColumns()).observe(section);
    addEventListener("hashchange", () => this.#layOut());
    preferences.onChange(() => this.tiles.forEach((tile) => tile.refresh()));
  }

  // The open stream, null for the grid. It is part of the URL, for bookmarks and the browser's
  // back button.
  get stream() {
    if (this.tiles.size === 1) return this.tiles.keys().next().value;
    const wanted = location.hash.startsWith(HASH) ? location.hash.slice(HASH.length) : "";
    return this.tiles.has(wanted) ? wanted : null;
  }

  // The streams for a command: the open one, or all.
  get chosen() {
    return this.stream === null ? [...this.tiles.keys()] : [this.stream];
  }

  get tile() {
    return this.tiles.get(this.stream);
  }

  // Whether the stream's pictures are visible and not paused.
  isWatched(stream) {
    return !this.paused && (this.stream ?? stream) === stream;
  }

  tileOf(stream) {
    if (!this.tiles.has(stream)) {
      document.getElementById("waiting")?.remove();
      const { drawn, showing } = this.handlers;
      const opened = (name) => this.open(this.stream === name ? null : name);
      const tile = new Tile(stream, this.settings, this.preferences, { opened, drawn, showing });
      this.tiles.set(stream, tile);
      this.#sort();
      this.#layOut();
    }
    return this.tiles.get(stream);
  }

  // Creates a tile for each configured source, with or without pictures, in list order.
  arrange(sources) {
    const names = sources.map(({ stream }) => stream);
    if (names.join("\n") !== this.#configured.join("\n")) {
      this.#configured = names;
      this.#sort();
      this.#layOut();
    }
    for (const source of sources) this.tileOf(source.stream).updateSource(source);
  }

  // Removes the tiles of streams that the display has forgotten and that are not configured. A
  // picture may arrive before its stream's first state, so two updates must lack it.
  keep(streams) {
    const kept = new Set([...streams, ...this.#configured]);
    const gone = [...this.tiles].filter(([name, tile]) => {
      tile.missed = kept.has(name) ? 0 : tile.missed + 1;
      return tile.missed > 1;
    });
    for (const [name, tile] of gone) {
      tile.element.remove();
      this.tiles.delete(name);
    }
    if (gone.length > 0) this.#layOut();
    return gone.map(([name]) => name);
  }

  open(stream) {
    location.hash = stream === null ? "" : HASH + stream;
  }

  // `index` counts from 0, in the order of the tiles.
  openAt(index) {
    const stream = [...this.tiles.keys()][index];
    if (stream !== undefined) this.open(stream);
  }

  step(by) {
    const streams = [...this.tiles.keys()];
    const at = streams.indexOf(this.stream);
    if (at >= 0) this.openAt((at + by + streams.length) % streams.length);
  }

  pause(on) {
    this.paused = on;
    this.#freeze();
    this.handlers.changed();
  }

  // Sorts the tiles in configuration order; other streams follow by name.
  #sort() {
    const rank = new Map(this.#configured.map((name, index) => [name, index]));
    const rankOf = (name) => rank.get(name) ?? rank.size;
    const sorted = [...this.tiles].sort(([a], [b]) => rankOf(a) - rankOf(b) || a.localeCompare(b));
    this.tiles = new Map(sorted);
    sorted.forEach(([, { element }], index) => {
      // A moved element loses focus, so elements that are already in place are not moved.
      if (this.section.children[index] !== element) this.section.insertBefore(element, this.section.children[index]);
    });
  }

  #layOut() {
    const { stream } = this;
    const others = this.tiles.size > 1;
    this.main.dataset.view = stream === null ? "all" : "one";
    for (const [name, tile] of this.tiles) tile.place({ open: name === stream, others });
    this.#listLinks(stream);
    this.#fitColumns();
    this.#freeze();
    this.handlers.changed();
    // For keyboard users, focus moves to the opened stream, and back to where it was.
    const moved = this.#stream !== undefined && this.#stream !== stream;
    if (moved && this.section.contains(document.activeElement)) this.tiles.get(stream ?? this.#stream)?.view.focus();
    this.#stream = stream;
  }

  #freeze() {
    for (const [name, tile] of this.tiles) tile.freeze(!this.isWatched(name));
  }

  #listLinks(stream) {
    this.nav.hidden = this.tiles.size < 2;
    const names = [null, ...this.tiles.keys()];
    this.nav.replaceChildren(...names.map((name) => {
      const link = make("a", "", name ?? "All");
      link.href = name === null ? "#" : HASH + name;
      if (name === stream) link.setAttribute("aria-current", "page");
      return link;
    }));
  }

  // The number of columns that gives the largest pictures.
  #fitColumns() {
    const { clientWidth: width, clientHeight: height } = this.section;
    const count = this.stream === null ? this.tiles.size : 1;
    if (count === 0) return;
    const tiles = [...this.tiles.values()];
    const gap = parseFloat(getComputedStyle(this.section).rowGap) || 0;
    const caption = tiles.find((tile) => tile.caption.offsetHeight)?.caption.offsetHeight ?? 0;
    const wide = (columns) => {
      const rows = Math.ceil(count / columns);
      const across = (width - (columns - 1) * gap) / columns;
      const down = (height - (rows - 1) * gap) / rows - caption;
      return Math.min(across, down * RATIO);
    };
    const candidates = Array.from({ length: count }, (_, n) => n + 1);
    const best = candidates.reduce((a, b) => (wide(b) > wide(a) ? b : a));
    this.section.style.setProperty("--columns", best);
  }
}
