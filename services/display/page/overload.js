// What is said where a busy pipeline leaves frames out: how many it analyzes, and what helps.

import { percent } from "./emotions.js";

// A frame now and then is missed by any live pipeline.
const OVERLOADED_BELOW = 0.9;
// What helps whichever stage is too slow, and what helps against that stage.
export const HELP = "Use fewer or slower sources.";
const HELP_OF_STAGE = {
  detector: "Use fewer or slower sources, or run the detector on another host.",
  classifier: "Use fewer or slower sources, or more classifiers.",
};

export function isOverloaded({ analyzed }) {
  return analyzed !== null && analyzed < OVERLOADED_BELOW;
}

export const analyzedText = ({ analyzed }) => `analyzing ${percent(analyzed)} of frames`;

export const helpForStage = (stage) => HELP_OF_STAGE[stage] ?? HELP;
