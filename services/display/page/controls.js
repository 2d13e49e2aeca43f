// The row of buttons: each shows a state, and switches it.

export class Controls {
  // `actions`: what each button does, by its data-do.
  constructor(bar, actions) {
    this.bar = bar;
    for (const button of bar.querySelectorAll("button[data-do]")) {
      if (button.hasAttribute("popovertarget")) continue;
      button.addEventListener("click", () => actions[button.dataset.do]());
    }
  }

  // `stream`: the open stream or null; `record` and `blur` as in Commands.stateOfAll.
  show({ paused, stream, record, blur, summary, isSignedIn }) {
    this.#turn("pause", paused, paused ? "Resume" : "Pause");
    this.#button("snapshot").hidden = stream === null;
    this.#button("leave").hidden = !isSignedIn;
    const all = stream === null ? " all" : "";
    this.#command("record", record, [`Record${all}`, `Stop recording${all}`]);
    this.#command("blur", blur, [`Blur${all} faces`, `Show${all} faces`]);
    this.#button("view").querySelector("small").textContent = summary;
  }

  #command(name, state, [off, on]) {
    const button = this.#button(name);
    button.hidden = state === null;
    if (state === null) return;
    this.#turn(name, state.on === true, state.on ? on : off);
    button.setAttribute("aria-busy", String(state.pending));
    button.setAttribute("aria-disabled", String(state.on === null));
    button.title = state.on === null ? "No recorder is responding" : "";
  }

  #turn(name, on, text) {
    const button = this.#button(name);
    button.dataset.on = on;
    button.querySelector("span").textContent = text;
  }

  #button(name) {
    return this.bar.querySelector(`[data-do=${name}]`);
  }
}
