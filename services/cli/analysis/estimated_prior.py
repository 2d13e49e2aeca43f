"""Estimates the prior of a recording or of photos from the model's probabilities."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emostream.models import weights
from emostream.models.prior import AS_TRAINED, ESTIMATED, Reweighting, choose_reweighting
from emostream.models.prior_estimation import estimate_shares
from emostream.models.spec import load_spec, spec_path
from emostream.services.classifier.smoothing import NS
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import ObservationRow, Run
from emostream.shared.config import Classifier as Settings
from emostream.shared.prior import Prior

Rows = NDArray[np.float64]


def prior_facts(settings: Settings) -> dict[str, Any]:
    """Return the prior that a classifier with these settings applies, {} if it has none.

    Raises ConfigError if the model cannot be reweighted to it.
    """
    prior = _chosen(settings, settings.prior)
    return prior.facts() if prior else {}


def unestimated(settings: Settings) -> Reweighting:
    """Return the prior before the estimate: the shares in training.

    Raises ConfigError if the model's TOML does not state them.
    """
    # Raises an error with the reason if the model cannot be reweighted.
    prior = _chosen(settings, "uniform")
    assert prior is not None
    strength = 1.0 if settings.prior_strength is None else settings.prior_strength
    return dataclasses.replace(prior, name=ESTIMATED, wanted=prior.trained, strength=strength)


def fitted(prior: Reweighting, observed: Rows, labels: tuple[str, ...]) -> Reweighting:
    """Return the prior with shares estimated from probabilities (N, C) for these labels."""
    if not len(observed):
        return prior
    places = [labels.index(label) for label in prior.labels]
    shares = estimate_shares(observed[:, places], np.array(prior.trained))
    return dataclasses.replace(prior, wanted=tuple(shares.tolist()))


def estimate_line(facts: dict[str, Any]) -> str:
    """Return the estimate in words."""
    strength = f" (at strength {facts['strength']:g})" if facts["strength"] < 1 else ""
    origin = f"{facts['faces']} {facts['unit']}{strength}"
    return f"prior estimated from {origin}: {_listed(facts['wanted'])}"


def prior_line(facts: dict[str, Any]) -> str:
    """Return the prior of the probabilities in words, "" if unknown."""
    if not facts:
        return ""
    if "faces" in facts:
        return estimate_line(facts)
    if facts["name"] == AS_TRAINED:
        return f"as in training: {_listed(facts['trained'])}"
    return f"{facts['name']} (strength {facts['strength']:g}): {_listed(facts['wanted'])}"


def _listed(shares: dict[str, float]) -> str:
    """List shares, largest first."""
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {share:.1%}" for label, share in ranked)


def face_seconds(reader: ArchiveReader, run: Run) -> Rows:
    """Return the mean probabilities (N, labels) of each face in each second.

    The frames of one second show the same expression, so they count as one observation. Faces that
    are left out do not count.
    """
    means: list[Rows] = []
    seconds: dict[int, tuple[int, list[ObservationRow]]] = {}
    for row in reader.observation_rows(run):
        if row.left_out or None in row.probabilities:
            continue
        second, rows = seconds.get(row.track, (row.pts // NS, []))
        if row.pts // NS != second:
            means.append(_mean(rows))
            second, rows = row.pts // NS, []
        rows.append(row)
        seconds[row.track] = second, rows
    means += [_mean(rows) for _, rows in seconds.values()]
    return np.array(means).reshape(len(means), len(reader.labels))


def _mean(rows: list[ObservationRow]) -> Rows:
    return np.asarray(np.array([row.probabilities for row in rows], np.float64).mean(axis=0))


def _chosen(settings: Settings, prior: Prior | None) -> Reweighting | None:
    path = weights.find(settings.model, settings.model_engine)
    return choose_reweighting(load_spec(spec_path(path)), path.stem, prior, settings.prior_strength)
