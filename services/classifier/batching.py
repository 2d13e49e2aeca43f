"""The classification of the crops of many messages in few batches."""

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
log = logging.getLogger("emostream")


class Model(Protocol):
    """What classifies faces, as `models.Classifier` does.

    `predict` takes uint8 (N, h, w) and returns float32 (N, C) in the order of `labels`; it raises
    ModelError where it cannot. `prior` is how they were reweighted, None where nobody knows.
    """

    name: str
    labels: tuple[str, ...]
    sha256: str
    engine: str
    prior: Reweighting | None

    def predict(self, faces: NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities of the faces."""


class BatchClassifier:
    """Classifies the crops of messages with one call of `model` a batch of at most `max_batch`.

    `failure` is why it failed last time, "" if it did not. `model` may be
    set to another one between two calls.
    """

    def __init__(self, model: Model, max_batch: int, batch_size: Histogram) -> None:
        self.model = model
        self._max_batch = max_batch
        self._batch_size = batch_size
        self.failure = ""

    def classify(self, messages: Sequence[Message]) -> list[Probabilities | None]:
        """Return (N, C) for each message, None where the model could not answer for its faces."""
        nobody = np.empty((0, len(self.model.labels)), np.float32)
        results: list[Probabilities | None] = [nobody] * len(messages)
        for indices in _by_crop_size(messages):
            crops = [pixels.crops(messages[index]) for index in indices]
            ends = np.cumsum([len(faces) for faces in crops])
            rows = np.split(self._classify(np.concatenate(crops)), ends[:-1])
            for index, probabilities in zip(indices, rows, strict=True):
                results[index] = probabilities if np.isfinite(probabilities).all() else None
        return results

    def _classify(self, crops: NDArray[np.uint8]) -> Probabilities:
        starts = range(0, len(crops), self._max_batch)
        return np.concatenate([self._batch(crops[at : at + self._max_batch]) for at in starts])

    def _batch(self, crops: NDArray[np.uint8]) -> Probabilities:
        """Return (N, C), all NaN where the model fails, so that other batches still count."""
        self._batch_size.observe(len(crops))
        shape = (len(crops), len(self.model.labels))
        try:
            probabilities = self.model.predict(crops)
            _check(probabilities, shape)
        except ModelError as error:
            self._set_failure(str(error))
            return np.full(shape, np.nan, np.float32)
        if self.failure:
            log.info("the model answers again")
            self.failure = ""
        return probabilities

    def _set_failure(self, failure: str) -> None:
        if not self.failure:
            log.error("the model fails, so frames go out without emotions: %s", failure)
        self.failure = failure


def _by_crop_size(messages: Sequence[Message]) -> list[list[int]]:
    """Return the indices of the messages with faces; two detectors may cut different sizes."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, message in enumerate(messages):
        header = message.header
        if header.is_data and isinstance(header, Faces) and header.faces:
            groups.setdefault(header.crop, []).append(index)
    return list(groups.values())


def _check(probabilities: Probabilities, shape: tuple[int, int]) -> None:
    if probabilities.shape != shape:
        raise ModelError(f"the model gave {probabilities.shape} instead of {shape}")
    if not np.isfinite(probabilities).all():
        raise ModelError("the model gave probabilities that are not finite")
