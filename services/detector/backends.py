"""Which detector to run, by its name in the configuration, and the settings that suit each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

from emostream.services.detector.detection import FaceDetector
from emostream.services.detector.haar import Haar
from emostream.services.detector.weights import yunet_path
from emostream.services.detector.yunet import YuNet
from emostream.shared.optional_groups import naming_the_group

Backend: TypeAlias = Literal["blazeface", "yunet", "haar"]

# A face that is being followed may score this much of what a new one must.
KEEP_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Defaults:
    """The `score` that begins a track and the number of `tiles` that suit a backend."""

    score: float
    tiles: int


# By `python -m benchmarks.detectors`: the lowest scores without a false face in the clips, and
# tiles where small faces are missed without them and the time for them can be spared.
DEFAULTS: dict[Backend, Defaults] = {
    "blazeface": Defaults(score=0.5, tiles=2),
    "yunet": Defaults(score=0.7, tiles=0),
    "haar": Defaults(score=0.0, tiles=0),
}


def create(
    backend: Backend,
    *,
    score: float | None = None,
    threads: int = 1,
    weights: Path | None = None,
    long_side: int = 320,
    square: bool = False,
) -> FaceDetector:
    """Return the detector, ready to run; it reports faces from `KEEP_SHARE` x `score` on.

    `score` is by default that of `DEFAULTS`, `threads` are those of blazeface, `weights` the file
    of blazeface or yunet instead of the usual one, and `long_side` that of yunet's frame.
    `square` is for single pictures, where time does not press: see `BlazeFace`.
    Raises WeightsError where the weights are missing or cannot be read, MissingPackageError where
    blazeface's packages are.
    """
    least = KEEP_SHARE * (DEFAULTS[backend].score if score is None else score)
    match backend:
        case "blazeface":
            # Only whoever runs it pays for LiteRT.
            with naming_the_group("the detector blazeface", "detector"):
                from emostream.services.detector.blazeface import BlazeFace

            return BlazeFace(score=least, threads=threads, weights=weights, square=square)
        case "yunet":
            return YuNet(weights or yunet_path(), score=least, long_side=long_side)
        case "haar":
            return Haar(score=least)
        case _:
            assert_never(backend)
