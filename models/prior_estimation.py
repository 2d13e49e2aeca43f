"""Estimates the label shares among faces from a model's probabilities, without true labels."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.prior import Shares

# The weight of the shares in training, as a number of faces, and at least as a share of the faces.
# So a few faces change little, and even many faces never exclude a label. Chosen on PublicTest,
# resampled with other shares; see models/CARD.md.
PULL_FACES: Final = 20.0
PULL_SHARE: Final = 0.1
STEPS: Final = 1000
PRECISION: Final = 1e-6


def estimate_shares(probabilities: NDArray[np.floating], trained: Shares) -> Shares:
    """Return the shares (C,) of the labels among faces with these probabilities (N, C).

    This is expectation maximization (Saerens et al. 2002) with a Dirichlet prior around the
    `trained` shares (C,), which the probabilities assume. Each step reweights them to the current
    shares and takes the mean. No share is 0. Without faces, the result is `trained`.
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
