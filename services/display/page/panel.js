// The panel of what the viewer alone sees differently.

import { make, paint } from "./emotions.js";

export class Panel {
  #listed = "";

  constructor(panel, settings, choices) {
    this.panel = panel;
    this.settings = settings;
    this.choices = choices;
    this.fields = panel.querySelector("#choice");
    this.output = panel.querySelector("output");
    panel.addEventListener("input", ({ target }) => this.#take(target));
    panel.querySelector("[data-do=defaults]").addEventListener("click", () => choices.reset());
    choices.follow(() => this.show());
    this.show();
  }

  // Lists the labels that were seen; called when there may be new ones.
  list() {
    const labels = this.settings.labels();
    if (labels.join("\n") === this.#listed) return;
    this.#listed = labels.join("\n");
    const legend = this.fields.querySelector("legend");
    this.fields.replaceChildren(legend, ...labels.map((label) => check(this.settings.look(label))));
    this.show();
  }

  show() {
    const { choices, panel } = this;
    this.output.textContent = choices.threshold > 0 ? `${Math.round(100 * choices.threshold)}%` : "0%: never";
    const named = (name) => panel.querySelector(`[name=${name}]`);
    named("smoothing").value = String(choices.smoothing);
    named("threshold").value = Math.round(100 * choices.threshold);
    named("theme").value = choices.theme;
    named("announce").checked = choices.announce;
    named("keys").checked = choices.keys;
    for (const box of this.fields.querySelectorAll("input")) box.checked = choices.shows(box.value);
  }

  #take({ name, value, checked }) {
    switch (name) {
      case "smoothing":
        this.choices.change({ smoothing: value === "pipeline" ? value : Number(value) });
        break;
      case "threshold":
        this.choices.change({ threshold: Number(value) / 100 });
        break;
      case "emotion":
        this.choices.toggle(value, checked);
        break;
      case "theme":
        this.choices.change({ theme: value });
        break;
      default:
        this.choices.change({ [name]: checked });
    }
  }
}

function check(look) {
  const label = make("label", "check");
  const box = make("input");
  box.type = "checkbox";
  box.name = "emotion";
  box.value = look.label;
  const name = make("span", "emotion", look.label);
  paint(name, look);
  label.append(box, name);
  return label;
}
