"""Estimates, without labels, how often each label occurs among faces that a model has judged."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.prior import Shares

# Faces that the pull towards the shares in training counts as, and the share of the faces that it
# counts as at least: so few faces say little, and of many no label is said to be absent. Chosen on
# PublicTest drawn again with other shares: see models/CARD.md.
PULL_FACES: Final = 20.0
PULL_SHARE: Final = 0.1
STEPS: Final = 1000
PRECISION: Final = 1e-6


def estimate_shares(probabilities: NDArray[np.floating], trained: Shares) -> Shares:
    """Return the shares (C,) of the labels among faces with these probabilities (N, C).

    Expectation maximization (Saerens et al. 2002) with a Dirichlet prior around the `trained`
    shares (C,), under which the probabilities hold: each step reweights them to the shares found so
    far and takes the mean. None of the shares is 0. Without a face they are the `trained` ones.
    """
    likelihoods = np.asarray(probabilities, np.float64) / trained
    pull = (PULL_FACES + PULL_SHARE * len(likelihoods)) * trained
    shares = np.asarray(trained, np.float64)
    for _ in range(STEPS):
        posteriors = likelihoods * shares
        posteriors /= posteriors.sum(axis=1, keepdims=True)
        counts = posteriors.sum(axis=0) + pull
        before, shares = shares, counts / counts.sum()
        if np.abs(shares - before).max() < PRECISION:
            break
    return shares
