// The panel of the viewer's preferences.

import { make, paint } from "./emotions.js";
import { sensitivityText } from "./preferences.js";

export class Panel {
  #listed = "";

  constructor(panel, settings, preferences) {
    this.panel = panel;
    this.settings = settings;
    this.preferences = preferences;
    this.fields = panel.querySelector("#choice");
    this.output = panel.querySelector("output");
    this.sensitivity = panel.querySelector("[name=sensitivity]");
    panel.addEventListener("input", ({ target }) => this.#onInput(target));
    panel.querySelector("[data-do=defaults]").addEventListener("click", () => preferences.reset());
    preferences.onChange(() => this.show());
    this.show();
  }

  // Lists the labels seen so far; called when there may be new ones.
  list() {
    const labels = this.settings.labels();
    if (labels.join("\n") === this.#listed) return;
    this.#listed = labels.join("\n");
    const legend = this.fields.querySelector("legend");
    this.fields.replaceChildren(legend, ...labels.map((label) => check(this.settings.styleOf(label))));
    this.show();
  }

  // Without the shares that the probabilities assume, nothing can be reweighted.
  enableSensitivity(on) {
    this.sensitivity.disabled = !on;
  }

  show() {
    const { preferences, panel } = this;
    this.output.textContent = preferences.threshold > 0 ? `${Math.round(100 * preferences.threshold)}%` : "0%: never";
    const named = (name) => panel.querySelector(`[name=${name}]`);
    named("smoothing").value = String(preferences.smoothing);
    this.sensitivity.value = Math.round(100 * preferences.sensitivity);
    panel.querySelector("output.sensitivity").textContent = sensitivityText(preferences.sensitivity);
    named("threshold").value = Math.round(100 * preferences.threshold);
    named("theme").value = preferences.theme;
    named("announce").checked = preferences.announce;
    named("keys").checked = preferences.keys;
    for (const box of this.fields.querySelectorAll("input")) box.checked = preferences.shows(box.value);
  }

  #onInput({ name, value, checked }) {
    switch (name) {
      case "smoothing":
        this.preferences.change({ smoothing: value === "pipeline" ? value : Number(value) });
        break;
      case "sensitivity":
        this.preferences.change({ sensitivity: Number(value) / 100 });
        break;
      case "threshold":
        this.preferences.change({ threshold: Number(value) / 100 });
        break;
      case "emotion":
        this.preferences.toggle(value, checked);
        break;
      case "theme":
        this.preferences.change({ theme: value });
        break;
      default:
        this.preferences.change({ [name]: checked });
    }
  }
}

function check(style) {
  const label = make("label", "check");
  const box = make("input");
  box.type = "checkbox";
  box.name = "emotion";
  box.value = style.label;
  const name = make("span", "emotion", style.label);
  paint(name, style);
  label.append(box, name);
  return label;
}
