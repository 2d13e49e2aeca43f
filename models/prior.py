"""Reweights a model's probabilities from the label shares in training to other shares."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.spec import ModelSpec
from emostream.shared.errors import ConfigError
from emostream.shared.label_synonyms import canonical_label
from emostream.shared.prior import CHOICES, PRIOR_NAMES, TOLERANCE, Prior, shares_fault

Shares = NDArray[np.float64]
Probabilities = NDArray[np.float32]

SMALLEST: Final = 1e-12  # of a probability, so that a row never vanishes
AS_TRAINED: Final = "trained"  # the name of the prior without reweighting
GIVEN: Final = "given"  # the name of a prior given as shares
ESTIMATED: Final = "estimated"  # the name of shares fitted to unlabeled faces


@dataclass(frozen=True)
class Reweighting:
    """A reweighting of probabilities: times (wanted / trained) ^ strength, normalized.

    The shares are in the order of the `labels` and sum to 1: `trained` are the shares in training,
    `wanted` the shares to assume. `name` is "natural", "uniform", "given" (explicit shares),
    "estimated", or "trained" for no reweighting (Saerens et al. 2002; Menon et al. 2021 for the
    strength).
    """

    name: str
    strength: float
    labels: tuple[str, ...]
    wanted: tuple[float, ...]
    trained: tuple[float, ...]

    @property
    def shares(self) -> dict[str, float]:
        """The shares that the reweighted probabilities assume, by label."""
        shares = np.array(self.trained) * self.factors
        return dict(zip(self.labels, (shares / shares.sum()).tolist(), strict=True))

    def apply(self, probabilities: NDArray[np.floating]) -> Probabilities:
        """Return the reweighted probabilities (N, C), float32; unchanged with strength 0."""
        if self.strength == 0 or self.name == AS_TRAINED:
            return np.asarray(probabilities, np.float32)
        powers = np.maximum(probabilities, SMALLEST) * self.factors
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def facts(self) -> dict[str, Any]:
        """Return the reweighting for JSON: name, strength, and shares by label."""
        wanted, trained = (
            dict(zip(self.labels, shares, strict=True)) for shares in (self.wanted, self.trained)
        )
        return {
            "name": self.name,
            "strength": self.strength,
            "shares": self.shares,
            "wanted": wanted,
            "trained": trained,
        }

    def __str__(self) -> str:
        if self.name == AS_TRAINED:
            return "as trained"
        return self.name if self.strength == 1 else f"{self.name} at strength {self.strength:g}"

    @functools.cached_property
    def factors(self) -> Shares:
        """The factors for the probabilities before normalization, float64 (C,)."""
        return np.asarray((np.array(self.wanted) / np.array(self.trained)) ** self.strength)


def choose_reweighting(
    spec: ModelSpec, model: str, prior: Prior | None = None, strength: float | None = None
) -> Reweighting | None:
    """Return the reweighting of a model's probabilities, None if its TOML has no `trained`.

    The default `prior` is from the model's TOML. The default `strength` is from the TOML for its
    own prior, and 1 for any other. Raises ConfigError if the model cannot be reweighted to the
    prior, or has other labels, and for a `strength` above 0 without a prior.
    """
    _check(prior, strength)
    if strength and prior is None and spec.prior is None:
        raise ConfigError(
            f"prior_strength is {strength:g} and there is no prior: name one, for example uniform"
            f" (model {model} has none of its own)"
        )
    if not spec.trained:
        if prior is None or prior == "natural":
            return None
        raise ConfigError(
            f"prior: model {model} does not state the shares of its labels in training, so only"
            ' "natural" works; add them to its TOML as [trained]'
        )
    if prior is None:
        prior = spec.prior
        strength = spec.prior_strength if strength is None else strength
    if prior is None or (prior == "natural" and not spec.natural):
        wanted, name, strength = _ordered(spec.labels, spec.trained), AS_TRAINED, 0.0
    else:
        wanted = wanted_shares(spec, model, prior)
        name = prior if isinstance(prior, str) else GIVEN
    strength = 1.0 if strength is None else float(strength)
    if strength == 0:
        name = AS_TRAINED
    return Reweighting(name, strength, spec.labels, wanted, _ordered(spec.labels, spec.trained))


def wanted_shares(spec: ModelSpec, model: str, prior: Prior) -> tuple[float, ...]:
    """Return the prior's share of each of the model's labels, with sum 1.

    Labels that are missing in a map get the rest in proportion to their natural shares. Synonyms
    (happy, happiness) are the same label. Raises ConfigError for a label that the model does not
    have.
    """
    if prior == "uniform":
        return (1 / len(spec.labels),) * len(spec.labels)
    natural = np.array(_ordered(spec.labels, spec.natural or spec.trained))
    if isinstance(prior, str):
        return tuple(natural.tolist())
    places = {canonical_label(label): place for place, label in enumerate(spec.labels)}
    shares = np.full(len(spec.labels), np.nan)
    for label, share in prior.items():
        place = places.get(canonical_label(label))
        if place is None:
            raise ConfigError(
                f"prior: model {model} has no label {label} (it has {', '.join(spec.labels)})"
            )
        if not np.isnan(shares[place]):
            raise ConfigError(f"prior: {label} is {spec.labels[place]}, which is listed twice")
        shares[place] = share
    rest = max(0.0, 1 - np.nansum(shares))
    open_places = np.isnan(shares)
    if open_places.any():
        shares[open_places] = rest * natural[open_places] / natural[open_places].sum()
    elif rest > TOLERANCE:
        raise ConfigError(f"prior: the shares of all labels sum to {1 - rest:g}, not to 1")
    return tuple((shares / shares.sum()).tolist())


def _check(prior: object, strength: float | None) -> None:
    """Raise ConfigError for invalid values, because a program may pass anything."""
    if isinstance(prior, Mapping):
        if fault := shares_fault(prior):
            raise ConfigError(f"prior: {fault}")
    elif prior is not None and prior not in PRIOR_NAMES:
        raise ConfigError(f"prior {prior!r}: write {CHOICES}")
    if strength is not None and not 0 <= strength <= 1:
        raise ConfigError(f"prior_strength is {strength}: give a number from 0 to 1")


def _ordered(labels: Sequence[str], shares: Mapping[str, float]) -> tuple[float, ...]:
    total = sum(shares.values())
    return tuple(shares[label] / total for label in labels)
