// What changes the pipeline for everybody: sent to the server, and true once the server says so.

const PLACE = "emostream.token";
// A stage obeys within a frame; one that is silent so long will not.
const CONFIRM_WITHIN_MS = 10_000;
const CONFIRMED = { record: "recording", blur: "blur" };

export class Commands {
  #pending = new Map(); // "stream command" -> wanted
  #controls = { token: false, streams: {} };

  // `say(text)` tells of a refusal, `changed()` of another state to show.
  constructor(dialog, { say, changed }) {
    this.dialog = dialog;
    this.say = say;
    this.changed = changed;
  }

  // What is known: { on: true, false or null (nobody can tell), pending }, or null where this
  // server has no such command for the stream.
  state(stream, command) {
    const known = this.#controls.streams[stream];
    if (!known) return null;
    return { on: known[CONFIRMED[command]], pending: this.#pending.has(`${stream} ${command}`) };
  }

  tell(controls) {
    this.#controls = controls;
    for (const [key, on] of this.#pending) {
      const [stream, command] = key.split(" ");
      if (this.state(stream, command)?.on === on) this.#pending.delete(key);
    }
    this.changed();
  }

  async toggle(stream, command) {
    const state = this.state(stream, command);
    if (!state || state.pending) return;
    if (state.on === null) {
      this.say("No recorder answers, so nothing can be recorded.");
      return;
    }
    const key = `${stream} ${command}`;
    const on = !state.on;
    this.#pending.set(key, on);
    this.changed();
    const refusal = await this.#send({ stream, command, arguments: { on } });
    if (refusal === null) {
      setTimeout(() => this.#giveUp(key, on), CONFIRM_WITHIN_MS);
      return;
    }
    this.#pending.delete(key);
    this.changed();
    if (refusal) this.say(refusal);
  }

  #giveUp(key, on) {
    if (this.#pending.get(key) !== on) return;
    this.#pending.delete(key);
    this.changed();
    this.say(`${key}: nobody has confirmed it.`);
  }

  // Resolves to null, or to why not ("" where the viewer gave it up).
  async #send(order) {
    if (this.#controls.token && !token() && !await this.#ask()) return "";
    for (;;) {
      let answer;
      try {
        answer = await post(order);
      } catch {
        return "The display does not answer.";
      }
      if (answer.ok) return null;
      const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
      if (answer.status !== 401) return error;
      if (!await this.#ask(error)) return "";
    }
  }

  // Resolves to whether a token was given.
  #ask(error = "") {
    const { dialog } = this;
    const field = dialog.querySelector("input");
    field.value = "";
    dialog.querySelector(".error").textContent = error;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((done) => {
      dialog.addEventListener("close", () => {
        const given = dialog.returnValue === "send" && field.value !== "";
        if (given) sessionStorage.setItem(PLACE, field.value);
        field.value = "";
        done(given);
      }, { once: true });
    });
  }
}

const token = () => sessionStorage.getItem(PLACE);

function post(order) {
  const headers = { "Content-Type": "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  return fetch("api/control", { method: "POST", headers, body: JSON.stringify(order) });
}
