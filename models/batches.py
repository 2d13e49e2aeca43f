"""What a training is shown: seeded batches, augmented on their own threads."""

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

PREFETCH: Final = 4  # batches that are made while the network works on one
VIEW_SHARE: Final = 0.4  # share of the faces that are shown as one of their further views


def targets(faces: FerFaces, labels: Literal["soft", "majority"] = "soft") -> Targets:
    """Return what each head learns, float32 (N, classes); rows of zeros are not learned from.

    Of FER+ that is each label's share of the votes, or the winner alone.
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
    """Return how often each face is drawn: its labels' shares to the power of -`balance`.

    `votes` are the labels' shares for each face (N, classes); rows of zeros have no label and are
    drawn as often as the mean face. At 0 all faces are drawn equally often, at 0.5 a label with a
    hundredth of the faces ten times as often as one that all have (Mahajan et al. 2018), at 1 all
    labels equally often.
    """
    shares = votes.sum(axis=0) / votes.sum()
    often = votes @ np.where(shares > 0, np.maximum(shares, 1e-9) ** -balance, 0)
    labeled = votes.sum(axis=1) > 0
    often = np.where(labeled, often, often[labeled].mean()).astype(np.float64)
    return np.asarray(often / often.sum())


def label_shares(votes: Floats, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the labels' shares among faces that are drawn with these probabilities."""
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
    """Give the batches of one epoch with the wanted rows of their faces.

    `seed` alone decides them, `alpha` is that of mixup. Each face comes once, or, with `drawn`, as
    often as these probabilities (N) say.

    OpenCV and numpy releases the interpreter while they work, so the network hardly waits.
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
    """Return one picture of each face: itself, or one of its further views."""
    pictures = np.stack([faces.images, *faces.views])
    choice = rng.integers(1, len(pictures), len(faces)) if faces.views else 0
    choice = np.where(rng.random(len(faces)) < VIEW_SHARE, choice, 0)
    return np.asarray(pictures[choice, np.arange(len(faces))], np.uint8)


def prefetched(make: Callable[[int], T], count: int) -> Iterator[T]:
    """Give make(0), make(1) ... make(count - 1) in order, made ahead on threads."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        waiting = deque(pool.submit(make, number) for number in range(min(PREFETCH, count)))
        for number in range(count):
            if number + PREFETCH < count:
                waiting.append(pool.submit(make, number + PREFETCH))
            yield waiting.popleft().result()
