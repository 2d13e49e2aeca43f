"""Training data: seeded batches, augmented on separate threads."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from emostream.models import ferplus
from emostream.models.augment import Targets, augment, mixup
from emostream.models.ferplus import FerFaces, Floats
from emostream.models.labels import FER2013, LABELS
from emostream.shared.pixels import Image

T = TypeVar("T")

PREFETCH: Final = 4  # batches prepared while the network processes one
VIEW_SHARE: Final = 0.4  # share of the faces that are replaced by one of their other views


def targets(faces: FerFaces, labels: Literal["soft", "majority"] = "soft") -> Targets:
    """Return the targets of each head, float32 (N, classes); rows of zeros are ignored.

    For FER+, these are the labels' shares of the votes, or only the winner.
    """
    if labels == "soft":
        votes = ferplus.soft_labels(faces.votes)
    else:
        votes = np.eye(len(LABELS), dtype=np.float32)[ferplus.protocol_b(faces.votes)]
    return {
        "ferplus": votes * ferplus.is_usable(faces)[:, None],
        "fer2013": np.eye(len(FER2013), dtype=np.float32)[faces.fer2013],
    }


def draw_probabilities(votes: Floats, balance: float) -> NDArray[np.float64]:
    """Return the probability of drawing each face, (share of its labels) ^ -`balance`.

    `votes` are the label shares of each face (N, classes); rows of zeros have no label and are
    drawn as often as the average face. At 0, all faces are drawn equally often. At 0.5, a label
    with a hundredth of the faces is drawn ten times as often as one that all faces have (Mahajan et
    al. 2018). At 1, all labels are drawn equally often.
    """
    shares = votes.sum(axis=0) / votes.sum()
    often = votes @ np.where(shares > 0, np.maximum(shares, 1e-9) ** -balance, 0)
    labeled = votes.sum(axis=1) > 0
    often = np.where(labeled, often, often[labeled].mean()).astype(np.float64)
    return np.asarray(often / often.sum())


def label_shares(votes: Floats, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the label shares among faces drawn with these probabilities."""
    sums = drawn @ votes
    return np.asarray(sums / sums.sum(), np.float64)


def batches(
    faces: FerFaces,
    wanted: Targets,
    size: int,
    alpha: float,
    seed: tuple[int, int],
    drawn: NDArray[np.float64] | None = None,
) -> Iterator[tuple[Image, Targets]]:
    """Yield the batches of one epoch with the targets of their faces.

    They depend only on `seed`; `alpha` is the mixup parameter. Each face occurs once, or is drawn
    with the probabilities `drawn` (N).

    OpenCV and NumPy release the GIL while they work, so the network hardly waits.
    """
    random = np.random.default_rng(seed)
    if drawn is None:
        order = random.permutation(len(faces))
    else:
        order = random.choice(len(faces), len(faces), p=drawn)

    def batch(number: int) -> tuple[Image, Targets]:
        rng = np.random.default_rng((*seed, number))
        chosen = order[number * size : (number + 1) * size]
        augmented = augment(choose_views(faces[chosen], rng), rng)
        return mixup(augmented, {head: rows[chosen] for head, rows in wanted.items()}, alpha, rng)

    yield from prefetched(batch, len(faces) // size)


def choose_views(faces: FerFaces, rng: np.random.Generator) -> Image:
    """Return one picture of each face: the original, or one of its other views."""
    pictures = np.stack([faces.images, *faces.views])
    choice = rng.integers(1, len(pictures), len(faces)) if faces.views else 0
    choice = np.where(rng.random(len(faces)) < VIEW_SHARE, choice, 0)
    return np.asarray(pictures[choice, np.arange(len(faces))], np.uint8)


def prefetched(make: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield make(0), make(1) ... make(count - 1) in order, computed ahead on threads."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        waiting = deque(pool.submit(make, number) for number in range(min(PREFETCH, count)))
        for number in range(count):
            if number + PREFETCH < count:
                waiting.append(pool.submit(make, number + PREFETCH))
            yield waiting.popleft().result()
