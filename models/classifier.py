"""The classifier's API: faces in, probabilities out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models import engines, weights
from emostream.models.crop_size import CROP
from emostream.models.engines import Engine, Sizes
from emostream.models.engines.device import DeviceChoice
from emostream.models.face_arrays import group_by_size, to_bgr, to_gray
from emostream.models.preprocessing import preprocess
from emostream.models.prior import Reweighting, choose_reweighting
from emostream.models.spec import (
    ALEXNET,
    ModelSpec,
    are_probabilities,
    check_engine,
    spec_for,
    spec_path,
)
from emostream.shared.errors import ModelError, WeightsError
from emostream.shared.pixels import Image
from emostream.shared.prior import Prior

Probabilities: TypeAlias = NDArray[np.float32]

MAX_BATCH: Final = 32  # the default number of faces per engine call


class Classifier:
    """A loaded model; `labels` names the columns of the result of `predict`.

    `engine` runs it on `device` ("cpu" or "gpu") with `runtime`. `files` are the weights and the
    TOML next to them; `sha256` is the hash of the weights, "" for a model without a file. `prior`
    is how its probabilities are reweighted, None if they are not. `max_batch` is the maximum number
    of faces per engine call; more faces are split into several calls. `prior` and `max_batch` may
    be changed between calls.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        spec: ModelSpec = ALEXNET,
        sha256: str = "",
        files: Sequence[Path] = (),
        prior: Reweighting | None = None,
    ) -> None:
        """Create a classifier from an engine or a Keras model in memory, and its specification.

        Raises WeightsError if the two do not match.
        """
        self._engine: Engine = model if hasattr(model, "failures") else _keras(model)
        check_engine(spec, self._engine, files[0] if files else Path(name))
        self.name, self.labels, self.sha256 = name, spec.labels, sha256
        self.engine, self.device = self._engine.name, self._engine.device
        self.runtime = self._engine.runtime
        self.files = list(files)
        self.spec = spec
        self.prior = prior
        self.max_batch = MAX_BATCH
        self._convert = to_gray if spec.channels == 1 else to_bgr

    @property
    def max_batch(self) -> int:
        """The maximum number of faces per engine call."""
        return self._max_batch

    @max_batch.setter
    def max_batch(self, faces: int) -> None:
        self._max_batch = faces
        fixed = self._engine.shape[0]
        self._sizes = (fixed,) if fixed is not None else padded_sizes(self._engine.sizes, faces)

    def predict(self, faces: NDArray[Any] | Sequence[NDArray[Any]]) -> Probabilities:
        """Return the probabilities float32 (N, C) of uint8 faces (N, H, W) or (N, H, W, 3) in BGR.

        A list or tuple may contain faces of different sizes. One channel (gray) and four (BGRA) are
        accepted too, as is any N, including 0. Raises ModelError for other shapes and types, and if
        the engine fails.
        """
        if isinstance(faces, list | tuple):
            probabilities = np.empty((len(faces), len(self.labels)), np.float32)
            for indices, images in group_by_size(faces, self._convert):
                probabilities[indices] = self._predict(images)
        else:
            probabilities = self._predict(self._convert(np.asarray(faces)))
        return self.prior.apply(probabilities) if self.prior else probabilities

    def warm_up(self, sizes: Iterable[int] = ()) -> None:
        """Run each batch size once, so that no later call pays for one-time preparation.

        An engine that takes any size runs one face: it has nothing to prepare for larger batches,
        and would keep the memory of the largest one.
        """
        for size in sizes or self._sizes or (1,):
            self.predict(np.zeros((size, CROP, CROP), np.uint8))

    def check(self) -> None:
        """Run the model once; WeightsError if the result is not a row of probabilities."""
        try:
            face = np.arange(CROP * CROP, dtype=np.uint8).reshape(1, CROP, CROP)
            # Not reweighted, because that would turn any row into probabilities.
            row = self._predict(self._convert(face))
        except ModelError as error:
            raise WeightsError(str(error)) from error
        if not are_probabilities(row):
            raise WeightsError(
                f"model {self.name} gives {np.round(row[0], 2)}, which are not probabilities:"
                ' if they are logits, write output = "logits" in its TOML'
            )

    def _predict(self, faces: Image) -> Probabilities:
        largest = self._sizes[-1] if self._sizes else self._max_batch
        batches = [faces[start : start + largest] for start in range(0, len(faces), largest)]
        empty = np.empty((0, len(self.labels)), np.float32)
        return np.concatenate([empty, *map(self._predict_batch, batches)])

    def _predict_batch(self, faces: Image) -> Probabilities:
        ready = preprocess(faces, self.spec, self._engine.dtype)
        size = next((size for size in self._sizes if size >= len(ready)), len(ready))
        padded = np.zeros((size, *ready.shape[1:]), ready.dtype)
        padded[: len(ready)] = ready
        try:
            rows = self._engine(padded)
        except self._engine.failures as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"model {self.name} failed: {reason}") from error
        if rows.shape != (size, len(self.labels)):
            raise ModelError(
                f"model {self.name} gives {rows.shape}, not {len(self.labels)} a face"
                " as its TOML has labels"
            )
        rows = rows[: len(ready)]
        return _softmax(rows) if self.spec.output == "logits" else rows


def load(
    name_or_path: str | Path = "alexnet-fer",
    engine: str = "auto",
    intra_op: int | None = None,
    inter_op: int = 1,
    *,
    prior: Prior | None = None,
    prior_strength: float | None = None,
    device: DeviceChoice = "auto",
) -> Classifier:
    """Load a shipped model by name, or any model by the path of its file, with a TOML next to it.

    `engine` is "keras", "litert", "onnxruntime" or "auto". "auto" uses a path's suffix, or for a
    name, the first of litert, onnxruntime and keras whose file and package are available.
    `intra_op` sets the engine's threads, and `inter_op` the number of operations that TensorFlow
    runs at a time; None leaves both to the engine. Probabilities are reweighted to `prior`:
    "natural" (as the labels occur in FER+), "uniform", or a map of label to share, with
    `prior_strength` from 0 (not at all) to 1 (fully); None leaves both to the TOML. `device` is
    "cpu", "gpu" or "auto" (a GPU if the engine has one). With "gpu", the engine "auto" is the first
    of onnxruntime and keras. Raises WeightsError if anything is missing, corrupt or contradicts the
    TOML; ConfigError for a prior that the model does not support, or an unusable GPU.
    """
    path = weights.find(name_or_path, engine, device)
    loaded = engines.load_engine(path, intra_op, inter_op, device)
    files = [path, spec_path(path)]
    spec = spec_for(path, loaded)
    chosen = choose_reweighting(spec, path.stem, prior, prior_strength)
    classifier = Classifier(loaded, path.stem, spec, weights.sha256(path), files, chosen)
    classifier.check()
    return classifier


def padded_sizes(sizes: Sizes, max_batch: int) -> Sizes:
    """Return the engine's batch sizes that are needed for batches up to the largest one."""
    return (*(size for size in sizes if size < max_batch), max_batch) if sizes else ()


def _keras(model: Any) -> Engine:
    from emostream.models.engines.keras import KerasEngine

    return KerasEngine(model)


def _softmax(logits: Probabilities) -> Probabilities:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
