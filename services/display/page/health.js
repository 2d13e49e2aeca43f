// The health panel: one line per stage with its reason, and the frame counts of each stream.

import { make } from "./emotions.js";
import { FrameCounts } from "./frame-counts.js";
import { STANDBY } from "./standby.js";
import { describe } from "./stages.js";

export class Health {
  #counts = new Map(); // stream -> { heading, counts }

  constructor(panel) {
    this.panel = panel;
    this.stages = panel.querySelector("ul");
    this.streams = panel.querySelector(".frame-counts");
    this.hint = panel.querySelector(".hint");
  }

  // Updated only while it is open.
  // `states`: the streams' states, by name.
  update(stages, accounts, states) {
    if (!this.panel.matches(":popover-open")) return;
    this.stages.replaceChildren(...stages.map((stage) => make("li", "", describe(stage))));
    const streams = [...new Set(accounts.map(({ stream }) => stream))];
    this.hint.hidden = streams.length > 0;
    for (const [stream, { heading, counts }] of this.#counts) {
      if (streams.includes(stream)) continue;
      heading.remove();
      counts.element.remove();
      this.#counts.delete(stream);
    }
    for (const stream of streams) {
      const { heading, counts } = this.#of(stream);
      heading.textContent = states[stream]?.standby ? `${stream}, ${STANDBY}` : stream;
      counts.update(accounts.filter((one) => one.stream === stream));
    }
  }

  #of(stream) {
    if (!this.#counts.has(stream)) {
      const [heading, counts] = [make("h3"), new FrameCounts()];
      this.streams.append(heading, counts.element);
      this.#counts.set(stream, { heading, counts });
    }
    return this.#counts.get(stream);
  }
}
