// The state of each face as it is shown: smoothed and compared with the viewer's preferences.

// Each of a stream's faces gets
//   shares: label to probability, as the bars show them,
//   label, confidence: the emotion that is shown,
//   state: "sure", "unsure" (below the viewer's threshold) or "other" (an emotion not chosen).
export class FaceStates {
  #tracks = new Map(); // track -> { t, shares }

  constructor(preferences) {
    this.preferences = preferences;
  }

  compute(facts) {
    const faces = facts.faces.map((face) => this.#compare({ ...face, ...this.#smooth(face, facts.t) }));
    if (facts.results !== "none") this.#forget(facts.faces);
    return faces;
  }

  // "pipeline": what the classifier says, which holds a label against short doubts (hysteresis).
  #smooth(face, t) {
    const { smoothing } = this.preferences;
    if (smoothing === "pipeline") return { shares: face.smoothed };
    const shares = smoothing > 0 ? this.#average(face, t, smoothing) : face.probabilities;
    const [label, confidence] = Object.entries(shares).reduce((a, b) => (b[1] > a[1] ? b : a));
    return { shares, label, confidence };
  }

  // Exponential over `seconds`, by the times of the pictures, so that lost ones change nothing.
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

// What is written at a face: its emotion, or that it is unsure or hidden.
export const labelText = (face) => (face.state === "sure" ? face.label : face.state);
