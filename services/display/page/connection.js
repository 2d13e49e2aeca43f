// The WebSocket: pictures with their results as binary messages, updates as text.
//
// A binary message is 4 bytes (big-endian: the length of the JSON), the JSON, and a JPEG. The
// server sends a picture only while few are in transit, so each must be confirmed.

const RETRY_MS = 1000;
const RETRY_FULL_MS = 10000;
const decoder = new TextDecoder();

export class Connection {
  #socket = null;
  #retry = 0;
  #owed = new Map();

  // `handlers`: opened(), closed(), full() (too many viewers), picture(facts, jpeg: Uint8Array), update(update), and
  // isWatched(stream): whether the stream's pictures are wanted now.
  constructor(handlers) {
    this.handlers = handlers;
    document.addEventListener("visibilitychange", () => this.#connectIfVisible());
    addEventListener("pagehide", () => this.#socket?.close());
    this.#connectIfVisible();
  }

  // Streams that are not watched (paused, or behind another stream) are not confirmed: after a few
  // pictures, the server stops encoding and sending them.
  confirm(stream) {
    if (this.handlers.isWatched(stream)) this.#sendConfirmation(stream);
    else this.#owed.set(stream, (this.#owed.get(stream) ?? 0) + 1);
  }

  // Confirms withheld pictures of streams that are watched now.
  confirmOwed() {
    for (const [stream, count] of this.#owed) {
      if (!this.handlers.isWatched(stream)) continue;
      this.#owed.delete(stream);
      for (let n = 0; n < count; n += 1) this.#sendConfirmation(stream);
    }
  }

  #sendConfirmation(stream) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ shown: stream }));
    }
  }

  // A hidden page costs nothing: it has no connection, and catches up when it is visible again.
  #connectIfVisible() {
    if (document.hidden) {
      clearTimeout(this.#retry);
      this.#socket?.close();
    } else if (!this.#socket) {
      this.#open();
    }
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live`);
    let wasOpen = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wasOpen = true;
      this.#owed.clear();
      this.handlers.opened();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => {
      this.#socket = null;
      if (document.hidden) return;
      this.handlers.closed();
      this.#retryAfter(RETRY_MS);
      if (!wasOpen) this.#findReason();
    };
    this.#socket = socket;
  }

  #retryAfter(delay) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connectIfVisible(), delay);
  }

  // Browsers do not report why a WebSocket was refused; a plain request does.
  async #findReason() {
    const answer = await fetch("live").catch(() => null);
    if (answer?.status === 401) location.assign("signin");
    if (answer?.status !== 503 || this.#socket || document.hidden) return;
    this.handlers.full();
    this.#retryAfter(RETRY_FULL_MS);
  }

  #receive(data) {
    if (typeof data === "string") {
      this.handlers.update(JSON.parse(data));
      return;
    }
    const length = new DataView(data).getUint32(0);
    const facts = JSON.parse(decoder.decode(new Uint8Array(data, 4, length)));
    this.handlers.picture(facts, new Uint8Array(data, 4 + length));
  }
}
