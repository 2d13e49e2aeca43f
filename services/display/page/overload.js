// The message of a busy pipeline that skips frames: how many it analyzes, and what helps.

import { percent } from "./emotions.js";

// Any live pipeline misses an occasional frame.
const OVERLOADED_BELOW = 0.9;
// Advice for any slow stage, and for a particular stage.
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
