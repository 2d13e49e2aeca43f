"""The work of `emostream evaluate`: reads the faces, judges the model, fills the report."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from emostream.models import Classifier, data, weights
from emostream.models.evaluation import datasets
from emostream.models.evaluation.conditions import CONDITIONS
from emostream.models.evaluation.curves import Curves, beside, read_curves
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.gap import Gap, measure
from emostream.models.evaluation.judge import Tell
from emostream.models.evaluation.judge import judge as judge_crops
from emostream.models.evaluation.report import Facts, Report
from emostream.models.evaluation.robustness import robustness
from emostream.models.evaluation.scenes import Style
from emostream.models.progress import Progress
from emostream.services.cli.evaluation.scenes import DEFAULTS, FaceFinder, find_in_scenes
from emostream.services.cli.model_files.view import parameters
from emostream.services.detector.backends import create

WORSENED = 600  # faces that are drawn for each worsened kind of scene


def read(options: argparse.Namespace, labels: tuple[str, ...]) -> Dataset:
    """Return the faces that the options ask for; SourceError where there are none."""
    if options.unseen:
        faces = data.read(options.split, options.data)
        faces = faces[~data.copies(faces, data.read("Training", options.data))]
        source = f"FER2013 {options.split} without copies of Training, {options.data}"
        dataset = datasets.from_fer(faces, labels, source)
    else:
        dataset = datasets.read(options.data, options.split, labels)
    if options.faces and options.faces < len(dataset):
        order = np.random.default_rng(options.seed).permutation(len(dataset))
        dataset = dataset.chosen(np.sort(order[: options.faces]))
    return datasets.resized(dataset, options.side) if options.side else dataset


def judge(options: argparse.Namespace, classifier: Classifier, dataset: Dataset) -> Report:
    """Measure all that the options ask for."""
    # What can fail at once does so before the long work.
    curves = _curves(options, classifier)
    finder = _finder(options) if options.scenes else None
    evaluation = judge_crops(classifier, dataset, _bar("judging"))
    worse = (
        robustness(classifier, dataset, options.seed, _bar("worsened"))
        if options.robustness
        else []
    )
    scenes = list(_scenes(options, finder, classifier, dataset)) if finder else []
    return Report(_facts(options, classifier, dataset), evaluation, worse, scenes, curves)


def _curves(options: argparse.Namespace, classifier: Classifier) -> Curves:
    path = options.history or (beside(classifier.files[0]) if classifier.files else None)
    return read_curves(path) if path else {}


def _facts(options: argparse.Namespace, classifier: Classifier, dataset: Dataset) -> Facts:
    return Facts(
        model=classifier.name,
        sha256=classifier.sha256,
        engine=classifier.engine,
        parameters=_parameters(classifier),
        labels=tuple(classifier.labels),
        data=dataset.source,
        faces=len(dataset),
        unknown=dataset.unknown,
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        command=options.command(options),
    )


def _parameters(classifier: Classifier) -> int | None:
    """Count the parameters where a Keras file of the model tells them."""
    if not classifier.files:
        return None
    path = classifier.files[0]
    return parameters(weights.files(path.stem, path.parent).get("keras"))


def _finder(options: argparse.Namespace) -> FaceFinder:
    default = DEFAULTS[options.backend]
    score = default.score if options.score is None else options.score
    tiles = default.tiles if options.tiles is None else options.tiles
    detector = create(
        options.backend,
        score=score,
        weights=options.weights,
        long_side=options.long_side,
        square=True,
    )
    return FaceFinder(detector, tiles, score)


def _scenes(
    options: argparse.Namespace, finder: FaceFinder, classifier: Classifier, dataset: Dataset
) -> Iterator[Gap]:
    """Draw the labelled faces into scenes, and, for robustness, some of them into worse ones."""
    labelled = dataset.chosen(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    faces = datasets.plain(labelled, data.SIDE)
    styles = [("as drawn", Style(), len(faces))]
    if options.robustness:
        styles += [(one.name, one.scene, WORSENED) for one in CONDITIONS]
    for name, style, most in styles:
        found = find_in_scenes(faces[:most], finder, style, options.seed, _bar(f"scenes, {name}"))
        yield measure(name, classifier, labelled, found)


def _bar(title: str) -> Tell:
    """Return a progress bar on stderr that learns from its first call how long it is."""
    bars: list[Progress] = []

    def report(done: int, total: int) -> None:
        if not bars:
            bars.append(Progress(title, total, sys.stderr))
        bars[0].show(done, "faces")

    return report
