"""Selects the detector from the configuration, with default settings for each."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, assert_never

from emostream.services.detector.detection import FaceDetector
from emostream.services.detector.haar import Haar
from emostream.services.detector.weights import Weights
from emostream.services.detector.yunet_weights import find_yunet
from emostream.shared.errors import MissingPackageError, WeightsError
from emostream.shared.optional_groups import (
    install_command,
    is_installed,
    missing_package,
    naming_the_group,
)

Backend: TypeAlias = Literal["yunet", "blazeface", "haar"]
Choice: TypeAlias = Literal["auto", "yunet", "blazeface", "haar"]

# A tracked face needs only this share of the score of a new one.
KEEP_SHARE: Final = 0.7
LONG_SIDE: Final = 640  # of yunet's frame
FETCH: Final = "emostream models fetch yunet"
log = logging.getLogger("emostream")


@dataclass(frozen=True, slots=True)
class Defaults:
    """The default settings of a backend: the `score` to start a track, and that of a still picture.

    `tiles` and extra looks (per frame, for recordings and live) are searched in addition to the
    full frame, which has `still_tiles` in a still picture. Each tile is searched in one of
    `tile_every` frames, and one of `search_every` frames is always searched in full. A still
    picture is rotated if the sum of its faces' scores is then `turned_gain` times as high; None if
    sums do not show which way is up.
    """

    score: float
    still_score: float
    tiles: int
    still_tiles: int
    extra_looks: float
    live_looks: float
    tile_every: int = 5
    turned_gain: float | None = None
    search_every: int = 1


# From `python -m benchmarks.detectors`: the lowest scores without false faces in the clips, and
# tiles if small faces are missed without them and there is time for them.
DEFAULTS: dict[Backend, Defaults] = {
    "yunet": Defaults(
        score=0.5,
        still_score=0.6,
        tiles=6,
        still_tiles=2,
        extra_looks=0.5,
        live_looks=0.3,
        tile_every=24,
        turned_gain=1.08,
        search_every=10,
    ),
    "blazeface": Defaults(
        score=0.5, still_score=0.5, tiles=2, still_tiles=2, extra_looks=2.0, live_looks=2.0
    ),
    "haar": Defaults(
        score=0.0, still_score=0.0, tiles=0, still_tiles=0, extra_looks=0.0, live_looks=0.0
    ),
}
CHOICES: Final[tuple[Choice, ...]] = ("auto", *DEFAULTS)


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected detector and its weights; haar's are part of OpenCV."""

    backend: Backend
    weights: Weights | None = None

    @property
    def defaults(self) -> Defaults:
        """Its default settings."""
        return DEFAULTS[self.backend]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels for metrics."""
        weights = self.weights
        origin, sha256 = (weights.origin, weights.sha256) if weights else ("OpenCV", "")
        return {"backend": self.backend, "weights": origin, "sha256": sha256}

    def __str__(self) -> str:
        """Return a short description of the detector and its weights."""
        if self.weights is None:
            return f"{self.backend}, with OpenCV's cascade"
        return (
            f"{self.backend}, weights of {self.weights.origin}, sha256 {self.weights.sha256[:12]}"
        )


def select(backend: Choice = "auto", weights: Path | None = None) -> Selection:
    """Return the detector to run, with its weights read.

    `auto` is yunet if its weights are available, otherwise blazeface, with one log line. With a
    `weights` file, its suffix decides (.tflite is for blazeface). Raises WeightsError if weights
    are missing or unreadable, MissingPackageError if packages are missing; with `auto`, only if
    neither detector can run.
    """
    match backend:
        case "auto":
            return _best(weights)
        case "yunet":
            return Selection("yunet", find_yunet(weights))
        case "blazeface":
            return Selection("blazeface", _blazeface_weights(weights))
        case "haar":
            return Selection("haar")
        case _:
            assert_never(backend)


def create(
    backend: Choice | Selection = "auto",
    *,
    score: float | None = None,
    threads: int = 1,
    weights: Path | None = None,
    long_side: int = LONG_SIDE,
    square: bool = False,
) -> FaceDetector:
    """Return the detector, ready to run; it reports faces with at least `KEEP_SHARE` x `score`.

    `backend` is a name, optionally with a `weights` file for yunet or blazeface, or an already
    selected detector. The default `score` is from `DEFAULTS`; `threads` is for the network, and
    `long_side` is yunet's frame size. `square` is for still pictures, where time is less critical;
    see `BlazeFace`. Raises the same errors as `select`.
    """
    chosen = backend if isinstance(backend, Selection) else select(backend, weights)
    least = KEEP_SHARE * (chosen.defaults.score if score is None else score)
    if chosen.weights is None:
        return Haar(score=least)
    # Only a process that uses the detector imports its engine.
    if chosen.backend == "yunet":
        with naming_the_group("the detector yunet", "detector"):
            from emostream.services.detector.yunet import YuNet

        return YuNet(chosen.weights, score=least, long_side=long_side, threads=threads)
    with naming_the_group("the detector blazeface", "blazeface"):
        from emostream.services.detector.blazeface import BlazeFace

    return BlazeFace(score=least, threads=threads, weights=chosen.weights.path, square=square)


def _best(weights: Path | None) -> Selection:
    if weights is not None:
        return select("blazeface" if weights.suffix == ".tflite" else "yunet", weights)
    if not is_installed("onnxruntime"):
        return _blazeface(missing_package("YuNet", "detector", "onnxruntime"))
    try:
        return Selection("yunet", find_yunet())
    except WeightsError as missing:
        return _blazeface(missing)


def _blazeface(missing: WeightsError | MissingPackageError) -> Selection:
    """Return blazeface as the fallback for yunet, which lacks something."""
    try:
        found = Selection("blazeface", _blazeface_weights(None))
    except MissingPackageError as error:
        if isinstance(missing, MissingPackageError):
            raise missing from error
        raise WeightsError(
            f"no face detector can run: {missing}, or {install_command('blazeface')}"
        ) from error
    log.warning("using the BlazeFace detector, which misses more faces than YuNet: %s", missing)
    return found


def _blazeface_weights(path: Path | None) -> Weights:
    with naming_the_group("the detector blazeface", "blazeface"):
        from emostream.services.detector.blazeface import PACKAGE, find_weights

    file = path or find_weights()
    try:
        return Weights(str(path) if path else PACKAGE, file.read_bytes(), file)
    except OSError as error:
        raise WeightsError(f"no BlazeFace weights at {file}: {error.strerror}") from error
