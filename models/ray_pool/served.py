"""The code of an actor: it keeps a model in memory and answers batches on one thread."""

import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Classifier, Probabilities
from emostream.models.crop_size import CROP
from emostream.models.model_choice import ModelChoice
from emostream.shared.errors import EmostreamError, WeightsError

# While a new model is opened, the one before it still answers.
MOST_MODELS: Final = 2


class ModelNotOpenError(EmostreamError):
    """The actor's process has not opened the model, because Ray has replaced the process."""


@dataclass(frozen=True)
class ServedModel:
    """Describes a model for an actor to open on its host; `number` identifies it.

    `sha256` is that of the weights: another file with the same name is refused.
    """

    number: int
    choice: ModelChoice
    sha256: str


class Opened(NamedTuple):
    """Where a model is open (host and process), its device, and the time of a full batch in s."""

    process: str
    device: str
    seconds: float


class ModelActor:
    """Answers batches with the model that it opened last, or with the previous one."""

    def __init__(self) -> None:
        self._models: OrderedDict[int, tuple[Classifier, Opened]] = OrderedDict()

    def open(self, served: ServedModel) -> Opened:
        """Open and warm up the model, unless it is open; return where it is open.

        Raises WeightsError, MissingPackageError or ConfigError if this host cannot serve it.
        """
        if served.number not in self._models:
            self._models[served.number] = _opened(served)
            while len(self._models) > MOST_MODELS:
                self._models.popitem(last=False)
        return self._models[served.number][1]

    def predict(self, number: int, *faces: NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities float32 (N, C) of uint8 faces (N, h, w), in parts of any N.

        Raises ModelNotOpenError if this process has not opened the model, ModelError if it fails.
        """
        if number not in self._models:
            raise ModelNotOpenError(f"model {number} is not open in {process_name()}")
        model, _ = self._models[number]
        return model.predict(np.concatenate(faces))


def process_name() -> str:
    """Return a unique name of this process: its host and pid."""
    return f"{os.uname().nodename}:{os.getpid()}"


def _opened(served: ServedModel) -> tuple[Classifier, Opened]:
    choice = served.choice
    model = choice.open()
    if model.sha256 != served.sha256:
        raise WeightsError(
            f"{choice.model} on {os.uname().nodename} has the sha256 {model.sha256[:12]},"
            f" not {served.sha256[:12]} as here: give all hosts the same file"
        )
    faces = np.zeros((choice.max_batch, CROP, CROP), np.uint8)
    began = time.perf_counter()
    model.predict(faces)
    return model, Opened(process_name(), model.device, time.perf_counter() - began)
