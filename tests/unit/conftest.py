"""A network that is trained in seconds, once for all tests.

TensorFlow is loaded where a test asks for one of these, so that no other test waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from emostream.models import ferplus

if TYPE_CHECKING:
    from emostream.models.checkpoint import TrainingState
    from emostream.models.train import Recipe


class Trained(NamedTuple):
    """A training that is over: how it was done, where its files are, and how it ended."""

    recipe: Recipe
    folder: Path
    state: TrainingState


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """The name of an architecture that learns a little in a few seconds."""
    from emostream.models import alexnet

    size = alexnet.Architecture(16, (4, 4, 4, 4, 4), (3, 3, 3, 3, 3), 1, "same", 2, (16, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(alexnet.ARCHITECTURES, "tiny", size)
        yield "tiny"


@pytest.fixture(scope="session")
def two_kinds() -> ferplus.FerFaces:
    """Faces that are bright above are happy, those that are bright on one side sad."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 80, (64, 48, 48), np.uint8)
    images[::2, :24] += 150
    images[1::2, :, :24] += 150
    votes = np.zeros((64, 10), np.uint8)
    votes[::2, 1] = votes[1::2, 3] = 10
    fer2013 = np.where(votes[:, 1] > 0, 3, 4).astype(np.uint8)
    return ferplus.FerFaces(images, votes, fer2013)


@pytest.fixture(scope="session")
def trained(
    tiny: str, two_kinds: ferplus.FerFaces, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A training of four epochs on `two_kinds`, from its first to its last."""
    from emostream.models import train

    recipe = train.Recipe(
        arch=tiny, epochs=4, batch=8, peak_rate=4e-3, dropout=0.1, smoothing=0.8, dtype="float32"
    )
    folder = tmp_path_factory.mktemp("trained")
    return Trained(recipe, folder, train.train(two_kinds, two_kinds, recipe, folder))
