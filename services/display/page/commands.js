// Commands change the pipeline for everybody: sent to the server, in effect once the server confirms them.

const STORAGE_KEY = "emostream.token";
// A stage obeys within a frame; after this long without an answer, it will not.
const CONFIRM_WITHIN_MS = 10_000;
const CONFIRMED = { record: "recording", blur: "blur" };

export class Commands {
  #pending = new Map(); // "stream command" -> wanted
  #controls = { token: false, streams: {} };

  // `role` is the role after sign-in, null if no sign-in is needed. `notify(text)` reports a refusal,
  // `changed()` is called when the state to show has changed.
  constructor(dialog, role, { notify, changed }) {
    this.dialog = dialog;
    this.role = role;
    this.notify = notify;
    this.changed = changed;
  }

  get mayGive() {
    return this.role !== "viewer";
  }

  // The known state: { on: true, false or null (unknown), pending }, or null if this server has no
  // such command for the stream.
  state(stream, command) {
    const known = this.#controls.streams[stream];
    if (!known) return null;
    return { on: known[CONFIRMED[command]], pending: this.#pending.has(`${stream} ${command}`) };
  }

  // The same for several streams: on if it is on for each stream with a known state.
  stateOfAll(streams, command) {
    const states = streams.map((stream) => this.state(stream, command)).filter((state) => state !== null);
    if (states.length === 0) return null;
    const known = states.filter(({ on }) => on !== null);
    const on = known.length === 0 ? null : known.every((state) => state.on);
    return { on, pending: states.some(({ pending }) => pending) };
  }

  // The file to which a stream is being recorded, { path, bytes }, or null.
  video(stream) {
    return this.#controls.streams[stream]?.video ?? null;
  }

  // Whether the stream's pictures are blurred, regardless of recordings.
  arePicturesBlurred(stream) {
    return this.#controls.streams[stream]?.pictures_blurred ?? false;
  }

  update(controls) {
    this.#controls = controls;
    for (const [key, on] of this.#pending) {
      const [stream, command] = key.split(" ");
      if (this.state(stream, command)?.on === on) this.#pending.delete(key);
    }
    this.changed();
  }

  // Switches it on for all of the streams, or off if it is on for each.
  async toggle(streams, command) {
    const state = this.stateOfAll(streams, command);
    if (!state || state.pending) return;
    if (!this.mayGive) {
      this.notify("You can only watch. Sign in with the operator's token to change this.");
      return;
    }
    if (state.on === null) {
      this.notify("No recorder is responding, so nothing can be recorded.");
      return;
    }
    const on = !state.on;
    const others = streams.filter((stream) => this.state(stream, command)?.on === !on);
    for (const stream of others) this.#pending.set(`${stream} ${command}`, on);
    this.changed();
    // One by one: the token is requested once, and the first refusal applies to all.
    let refusal = null;
    for (const stream of others) {
      const key = `${stream} ${command}`;
      refusal ??= await this.#send({ stream, command, arguments: { on } });
      if (refusal === null) setTimeout(() => this.#giveUp(key, on), CONFIRM_WITHIN_MS);
      else this.#pending.delete(key);
    }
    this.changed();
    if (refusal) this.notify(refusal);
  }

  #giveUp(key, on) {
    if (this.#pending.get(key) !== on) return;
    this.#pending.delete(key);
    this.changed();
    this.notify(`${key}: not confirmed.`);
  }

  // Resolves to null, or to the reason for failure ("" if the viewer canceled).
  async #send(command) {
    if (this.role === null && this.#controls.token && !token() && !await this.#askForToken()) return "";
    for (;;) {
      let answer;
      try {
        answer = await post(command);
      } catch {
        return "The display is not responding.";
      }
      if (answer.ok) return null;
      const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
      if (answer.status !== 401) return error;
      if (this.role !== null) {
        location.assign("signin");
        return "";
      }
      if (!await this.#askForToken(error)) return "";
    }
  }

  // Resolves to whether a token was given.
  #askForToken(error = "") {
    const { dialog } = this;
    const field = dialog.querySelector("input");
    field.value = "";
    dialog.querySelector(".error").textContent = error;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((done) => {
      dialog.addEventListener("close", () => {
        const given = dialog.returnValue === "send" && field.value !== "";
        if (given) sessionStorage.setItem(STORAGE_KEY, field.value);
        field.value = "";
        done(given);
      }, { once: true });
    });
  }
}

const token = () => sessionStorage.getItem(STORAGE_KEY);

function post(command) {
  const headers = { "Content-Type": "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  return fetch("api/control", { method: "POST", headers, body: JSON.stringify(command) });
}
