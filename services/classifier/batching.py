"""Classifies the crops of many messages in few batches."""

import logging
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from emostream.models.prior import Reweighting
from emostream.shared import pixels
from emostream.shared.errors import ModelError
from emostream.shared.messages import Faces, Message

Probabilities: TypeAlias = NDArray[np.float32]
# By crop size: the indices of the messages, the offsets of their crops (except the first), and all
# crops.
Crops: TypeAlias = list[tuple[list[int], list[int], NDArray[np.uint8]]]
log = logging.getLogger("emostream")


class Model(Protocol):
    """The interface of a classifier, such as `models.Classifier`.

    `predict` takes uint8 (N, h, w) and returns float32 (N, C) in the order of `labels`; it raises
    ModelError if it cannot. `prior` is how they were reweighted, None if unknown.
    """

    name: str
    labels: tuple[str, ...]
    sha256: str
    engine: str
    device: str
    prior: Reweighting | None

    def predict(self, faces: NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities of the faces."""


class BatchClassifier:
    """Classifies the crops of messages in batches of at most `max_batch`, one `model` call each.

    `failure` is the reason if the last call failed, otherwise "". `model` may be replaced between
    calls.
    """

    def __init__(self, model: Model, max_batch: int, batch_size: Histogram) -> None:
        self.model = model
        self._max_batch = max_batch
        self._batch_size = batch_size
        self.failure = ""

    def classify(self, messages: Sequence[Message]) -> list[Probabilities | None]:
        """Return (N, C) for each message, None if the model failed on its faces."""
        return self.run(self.assemble(messages), len(messages))

    def assemble(self, messages: Sequence[Message]) -> Crops:
        """Return the crops of the messages, grouped by size."""
        return [
            _together(indices, [pixels.crops(messages[index]) for index in indices])
            for indices in _by_crop_size(messages)
        ]

    def run(self, assembled: Crops, count: int) -> list[Probabilities | None]:
        """Return the result of `classify` for `count` messages; on any thread, one at a time."""
        nobody = np.empty((0, len(self.model.labels)), np.float32)
        results: list[Probabilities | None] = [nobody] * count
        for indices, ends, crops in assembled:
            rows = np.split(self._classify(crops), ends)
            for index, probabilities in zip(indices, rows, strict=True):
                results[index] = probabilities if np.isfinite(probabilities).all() else None
        return results

    def _classify(self, crops: NDArray[np.uint8]) -> Probabilities:
        starts = range(0, len(crops), self._max_batch)
        return np.concatenate([self._batch(crops[at : at + self._max_batch]) for at in starts])

    def _batch(self, crops: NDArray[np.uint8]) -> Probabilities:
        """Return (N, C), with NaN for batches on which the model fails."""
        self._batch_size.observe(len(crops))
        shape = (len(crops), len(self.model.labels))
        try:
            probabilities = self.model.predict(crops)
            _check(probabilities, shape)
        except ModelError as error:
            self._set_failure(str(error))
            return np.full(shape, np.nan, np.float32)
        if self.failure:
            log.info("the model works again")
            self.failure = ""
        return probabilities

    def _set_failure(self, failure: str) -> None:
        if not self.failure:
            log.error("the model fails, so frames are published without emotions: %s", failure)
        self.failure = failure


def _by_crop_size(messages: Sequence[Message]) -> list[list[int]]:
    """Return the indices of messages with faces, by crop size, which may differ by detector."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, message in enumerate(messages):
        header = message.header
        if header.is_data and isinstance(header, Faces) and header.faces:
            groups.setdefault(header.crop, []).append(index)
    return list(groups.values())


def _together(
    indices: list[int], crops: list[NDArray[np.uint8]]
) -> tuple[list[int], list[int], NDArray[np.uint8]]:
    ends = np.cumsum([len(faces) for faces in crops]).tolist()
    return indices, ends[:-1], np.concatenate(crops)


def _check(probabilities: Probabilities, shape: tuple[int, int]) -> None:
    if probabilities.shape != shape:
        raise ModelError(f"the model returned {probabilities.shape} instead of {shape}")
    if not np.isfinite(probabilities).all():
        raise ModelError("the model returned probabilities that are not finite")
