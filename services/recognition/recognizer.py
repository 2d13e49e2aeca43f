"""In-process recognition: a picture in, its faces with their emotions out."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.models import load
from emostream.models.alignment import align
from emostream.models.engines.device import DeviceChoice
from emostream.models.quality import assess_all, fitted
from emostream.models.tensorflow_runtime import muted_stderr
from emostream.services.detector import backends
from emostream.services.detector.detection import Detection
from emostream.services.recognition.images import Channels, as_picture
from emostream.services.recognition.stills import search_still, usual_tiles
from emostream.shared.config import Classifier as Settings
from emostream.shared.errors import ConfigError
from emostream.shared.messages import Box, LeftOut, Point, Quality
from emostream.shared.prior import Prior, PriorName

Source: TypeAlias = str | Path | NDArray[Any]

KEPT: Final = 4  # the number of recognizers that `recognize` keeps loaded


class RecognizedFace(msgspec.Struct, frozen=True):
    """A face in a picture, with its emotion.

    `box` is x, y, width, height in pixels of the upright picture, and may extend beyond its border.
    `score` is the detection score, 0..1. `landmarks` are the person's right eye, left eye, nose and
    mouth center, or empty if the detector does not provide them. `label` is the most probable of
    `probabilities`, which sum to 1, and `confidence` is its probability. A face with too low a
    `quality` is `left_out`: its `label` is empty and its `confidence` is 0.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...]
    probabilities: dict[str, float]
    label: str
    confidence: float
    quality: Quality | None = None
    left_out: LeftOut = ""

    def __str__(self) -> str:
        """Return label, confidence and position in one line."""
        x, y, width, height = (round(number) for number in self.box)
        shown = f"{self.label} {self.confidence:.0%}" if self.label else "not judged"
        return f"{shown} at {x}, {y} ({width} x {height} px)"


class Recognizer:
    """Finds the faces in single pictures and classifies their emotions; load once, use often.

    Thread-safe. Threads take turns at the detector and the model, and only read and convert
    pictures in parallel; for more parallelism, give each thread its own recognizer. `model` is the
    classifier, with its `name`, `labels`, `engine` and `sha256`; `detector` is the detector in use.
    `score` and `tiles` are as given; by default, the detector's default score and None.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its keyword
        self,
        model: str | Path = "alexnet-fer",
        *,
        engine: str = "auto",
        device: DeviceChoice = "auto",
        detector: backends.Choice = "auto",
        weights: Path | None = None,
        score: float | None = None,
        tiles: int | None = None,
        threads: int | None = None,
        prior: Prior | None = None,
        prior_strength: float | None = None,
        min_quality: float | None = None,
    ) -> None:
        """Load the model (a name or the path of a file, see `load`) and the detector.

        `weights` is the detector's file, `score` the minimum score of a face, and `tiles` the
        number of tiles searched in addition to the full picture; the defaults depend on the
        detector and the picture's size. `threads` applies to detector and model; the default is one
        for the detector and the engine's own for the model. `prior`, `prior_strength` and `device`
        are as in `load`; the detector runs on the CPU. A face with a quality below `min_quality` (0
        to 1, by default as in the configuration) is left out. Raises WeightsError if files are
        missing, MissingPackageError (an ImportError) if packages are missing, ConfigError for
        invalid settings.
        """
        least = Settings().min_quality if min_quality is None else min_quality
        _check(detector, score, tiles, least)
        self.tiles = tiles
        self.min_quality = least
        chosen = backends.select(detector, weights)
        self.detector = chosen.backend
        self.score = chosen.defaults.still_score if score is None else score
        with _building, muted_stderr():
            fitted()
            self._finder = backends.create(
                chosen, score=self.score, threads=threads or 1, square=True
            )
            self.model = load(
                model,
                engine=engine,
                intra_op=threads,
                prior=prior,
                prior_strength=prior_strength,
                device=device,
            )
        self._turned_gain = chosen.defaults.turned_gain
        self._lock = Lock()

    def __call__(self, image: Source, channels: Channels | None = None) -> list[RecognizedFace]:
        """Return the faces in a picture, highest detection score first.

        `image` is the path of a file, which is rotated upright by its metadata, or uint8 (H, W),
        (H, W, 3) or (H, W, 4) with named `channels`; alpha is ignored. Raises SourceError for an
        invalid picture, ModelError if the model fails.
        """
        picture = as_picture(image, channels)
        tiles = usual_tiles(self.detector, picture) if self.tiles is None else self.tiles
        # Neither LiteRT's interpreters nor OpenCV's detectors are thread-safe.
        with self._lock:
            found = search_still(self._finder, picture, tiles, self.score, self._turned_gain)
            crops = align(picture, found)
            rows = self.model.predict(crops)
        height, width = picture.shape[:2]
        qualities = assess_all(crops, found, width, height)
        return [self._face(*one) for one in zip(found, rows, qualities, strict=True)]

    def each(
        self, images: Iterable[Source], channels: Channels | None = None
    ) -> Iterator[list[RecognizedFace]]:
        """Yield the faces of each picture in turn, with one picture in memory at a time.

        Pictures are not batched for the model, so that results do not depend on other pictures.
        """
        for image in images:
            yield self(image, channels)

    def _face(self, found: Detection, row: NDArray[np.float32], quality: Quality) -> RecognizedFace:
        probabilities = dict(zip(self.model.labels, row.tolist(), strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        is_good = quality.overall >= self.min_quality
        return RecognizedFace(
            found.box,
            found.score,
            found.landmarks,
            probabilities,
            label=label if is_good else "",
            confidence=probabilities[label] if is_good else 0.0,
            quality=quality,
            left_out="" if is_good else "quality",
        )


def recognize(
    image: Source,
    channels: Channels | None = None,
    *,
    model: str | Path = "alexnet-fer",
    detector: backends.Choice = "auto",
    prior: Prior | None = None,
    prior_strength: float | None = None,
) -> list[RecognizedFace]:
    """Return the faces in a picture, highest detection score first.

    `image` is the path of a file, or a uint8 array with a channel order: `channels` is "bgr" (as in
    OpenCV), "rgb" (as in Pillow), "bgra", "rgba" or "gray". The first call loads `model` and
    `detector`, and later calls reuse them. `prior` and `prior_strength` are as in `load`. This
    function is thread-safe. `Recognizer` has more settings, and lists the errors.
    """
    shares = tuple(prior.items()) if isinstance(prior, dict) else prior
    # Wait for a recognizer that another thread is loading, instead of loading it twice.
    with _loading:
        recognizer = _recognizer(str(model), detector, shares, prior_strength)
    return recognizer(image, channels)


_loading = Lock()
# msgspec 0.22 crashes if two threads are the first to read a type (here a model's TOML).
_building = Lock()


@functools.lru_cache(maxsize=KEPT)
def _recognizer(
    model: str,
    detector: backends.Choice,
    prior: PriorName | tuple[tuple[str, float], ...] | None,
    strength: float | None,
) -> Recognizer:
    shares = dict(prior) if isinstance(prior, tuple) else prior
    return Recognizer(model, detector=detector, prior=shares, prior_strength=strength)


def _check(detector: str, score: float | None, tiles: int | None, min_quality: float) -> None:
    if detector not in backends.CHOICES:
        raise ConfigError(f"no detector {detector!r}: choose {', '.join(backends.CHOICES)}")
    if score is not None and not 0 < score <= 1:
        raise ConfigError(f"score is {score}: give a number above 0 and up to 1")
    if tiles is not None and tiles < 0:
        raise ConfigError(f"tiles is {tiles}: give 0 or more")
    if not 0 <= min_quality <= 1:
        raise ConfigError(f"min_quality is {min_quality}: give a number from 0 to 1")
