// The displayed state of each face: reweighted, smoothed, compared with the viewer's preferences.

// Each of a stream's faces gets
//   shares: label to probability, as shown in the bars,
//   label, confidence: the displayed emotion,
//   state: "sure", "unsure" (below the viewer's threshold), "other" (an emotion not chosen) or
//     "left out" (its quality is too low: it has no label),
//   streamLabel: the stream's own label if the viewer's sensitivity changes it, else "".
// A face whose track is too new is not included.
//
// The pipeline's smoothing is unknown for reweighted probabilities: they get its default seconds.
const PIPELINE_SECONDS = 0.5;

// Probabilities times prior^-sensitivity, normalized: at 1 all labels count as equally frequent, at
// -1 frequent labels as even more frequent.
export function reweighted(probabilities, prior, sensitivity) {
  const powers = Object.entries(probabilities).map(([label, share]) => [
    label,
    share * Math.max(prior[label] ?? 0, 1e-6) ** -sensitivity,
  ]);
  const total = powers.reduce((sum, [, power]) => sum + power, 0);
  return Object.fromEntries(powers.map(([label, power]) => [label, power / total]));
}

export class FaceStates {
  #tracks = new Map(); // track -> { t, shares }

  #sensitivity = 0;

  constructor(preferences) {
    this.preferences = preferences;
  }

  compute(facts) {
    // Means of differently reweighted values are useless now, and a paused picture has no later one.
    if (this.preferences.sensitivity !== this.#sensitivity) this.#tracks.clear();
    this.#sensitivity = this.preferences.sensitivity;
    const shown = facts.faces.filter((face) => face.left_out !== "new");
    const faces = shown.map((face) => this.#of(face, facts));
    if (facts.results !== "none") this.#forget(facts.faces);
    return faces;
  }

  // The faces of a moment ago, which do not change their tracks.
  keep(facts) {
    return facts.kept.filter((face) => face.left_out !== "new").map((face) => {
      if (face.left_out) return { ...face, shares: {}, state: "left out", streamLabel: "", kept: true };
      const shares = this.#tracks.get(face.track)?.shares;
      const own = shares ? { shares, ...strongest(shares) } : { shares: face.smoothed };
      return this.#compare({ ...face, ...own, streamLabel: "", kept: true });
    });
  }

  // As in the pipeline, a face of low quality does not change its track.
  #of(face, facts) {
    if (face.left_out) return { ...face, shares: {}, state: "left out", streamLabel: "" };
    return this.#compare({ ...face, ...this.#shown(face, facts) });
  }

  #shown(face, { t, prior }) {
    const { sensitivity } = this.preferences;
    if (!sensitivity || !prior || Object.keys(prior).length === 0) {
      return { ...this.#smooth(face, t, this.preferences.smoothing), streamLabel: "" };
    }
    const { smoothing } = this.preferences;
    const probabilities = reweighted(face.probabilities, prior, sensitivity);
    const seconds = smoothing === "pipeline" ? PIPELINE_SECONDS : smoothing;
    const shown = this.#smooth({ ...face, probabilities }, t, seconds);
    return { ...shown, streamLabel: shown.label === face.label ? "" : face.label };
  }

  // "pipeline": the classifier's label, which is stable against short changes (hysteresis).
  #smooth(face, t, smoothing) {
    if (smoothing === "pipeline") return { shares: face.smoothed };
    const shares = smoothing > 0 ? this.#average(face, t, smoothing) : face.probabilities;
    return { shares, ...strongest(shares) };
  }

  // Exponential over `seconds`, by picture times, so that lost pictures have no effect.
  #average({ track, probabilities }, t, seconds) {
    const last = this.#tracks.get(track);
    if (!last || t < last.t) {
      this.#tracks.set(track, { t, shares: { ...probabilities } });
      return probabilities;
    }
    const weight = 1 - Math.exp(-(t - last.t) / (1000 * seconds));
    const shares = {};
    for (const [label, share] of Object.entries(probabilities)) {
      const before = last.shares[label] ?? 0;
      shares[label] = before + weight * (share - before);
    }
    this.#tracks.set(track, { t, shares });
    return shares;
  }

  #compare(face) {
    const { preferences } = this;
    let state = "sure";
    if (!preferences.shows(face.label)) state = "other";
    else if (face.confidence < preferences.threshold) state = "unsure";
    return { ...face, state };
  }

  #forget(faces) {
    const present = new Set(faces.map((face) => face.track));
    for (const track of this.#tracks.keys()) if (!present.has(track)) this.#tracks.delete(track);
  }
}

function strongest(shares) {
  const [label, confidence] = Object.entries(shares).reduce((a, b) => (b[1] > a[1] ? b : a));
  return { label, confidence };
}

// The text at a face: its emotion, or that it is unsure, hidden or left out. A star marks a label that
// is the viewer's and not the stream's.
export function labelText(face) {
  const text = face.state === "sure" ? face.label : face.state;
  return face.streamLabel && face.state !== "other" ? `${text} *` : text;
}
