"""The work of `emostream evaluate`: loads the faces, evaluates the model, fills the report."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from emostream.models import Classifier, ferplus, weights
from emostream.models.evaluation import datasets
from emostream.models.evaluation.corruptions import CORRUPTIONS
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.domain_gap import DomainGap, measure_gap
from emostream.models.evaluation.evaluator import evaluate, predict_all
from emostream.models.evaluation.learning_curves import LearningCurves, find_curves, load_curves
from emostream.models.evaluation.priors import PriorComparison, compare_priors
from emostream.models.evaluation.report import Facts, Report
from emostream.models.evaluation.robustness import measure_robustness
from emostream.models.evaluation.scenes import SceneStyle
from emostream.models.evaluation.video_scores import VideoReport, summarize
from emostream.models.prior import choose_reweighting
from emostream.services.cli.evaluation.scenes import SceneSearch, detect_in_scenes
from emostream.services.cli.evaluation.videos import KINDS, measure_video
from emostream.services.cli.model_files.view import parameters
from emostream.services.detector.backends import LONG_SIDE, create, select
from emostream.shared.errors import ConfigError
from emostream.shared.label_synonyms import canonical_label
from emostream.shared.progress import ProgressBar

CORRUPTED_FACES = 600  # faces that are drawn for each kind of corrupted scene


def choose_dataset(options: argparse.Namespace, labels: tuple[str, ...]) -> Dataset:
    """Return the labeled faces selected by the options; SourceError if there are none.

    Raises ConfigError if `--map` has a label that the model does not have.
    """
    known = {canonical_label(label) for label in labels}
    classes = options.map or {}
    for word, label in classes.items():
        if canonical_label(label) not in known:
            raise ConfigError(
                f"--map {word}={label}: the model has no such label, but {', '.join(labels)}"
            )
    if options.unseen:
        faces = ferplus.load_faces(options.split, options.data)
        faces = faces[~ferplus.duplicates(faces, ferplus.load_faces("Training", options.data))]
        source = f"FER2013 {options.split} without copies of Training, {options.data}"
        dataset = datasets.from_fer(faces, labels, source)
    else:
        dataset = datasets.load_dataset(options.data, options.split, labels, classes)
    if options.faces and options.faces < len(dataset):
        order = np.random.default_rng(options.seed).permutation(len(dataset))
        dataset = dataset.subset(np.sort(order[: options.faces]))
    return datasets.resized(dataset, options.side) if options.side else dataset


def measure(options: argparse.Namespace, classifier: Classifier, dataset: Dataset) -> Report:
    """Run all measurements selected by the options."""
    # Check everything that can fail quickly before the long work.
    curves = _curves(options, classifier)
    search = _scene_search(options) if options.scenes else None
    if options.priors:
        choose_reweighting(classifier.spec, classifier.name, "uniform")
    with ProgressBar("judging", unit="faces") as bar:
        evaluation = evaluate(classifier, dataset, bar.update)
    robustness = []
    if options.robustness:
        with ProgressBar("corrupted", unit="faces") as bar:
            robustness = measure_robustness(
                classifier, dataset, options.seed, bar.update, options.min_quality
            )
    scenes = list(_scenes(options, search, classifier, dataset)) if search else []
    videos = list(_videos(options, classifier, dataset)) if search else []
    priors = _compare_priors(options, classifier, dataset) if options.priors else None
    facts = _facts(options, classifier, dataset)
    return Report(facts, evaluation, robustness, scenes, curves, priors, videos)


def _compare_priors(
    options: argparse.Namespace, classifier: Classifier, dataset: Dataset
) -> PriorComparison:
    applied, classifier.prior = classifier.prior, None
    try:
        with ProgressBar("priors", unit="faces") as bar:
            probabilities = predict_all(classifier, dataset.images, bar.update)
    finally:
        classifier.prior = applied
    return compare_priors(
        classifier.spec, classifier.name, dataset, probabilities, seed=options.seed
    )


def _curves(options: argparse.Namespace, classifier: Classifier) -> LearningCurves:
    path = options.history or (find_curves(classifier.files[0]) if classifier.files else None)
    return load_curves(path) if path else {}


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
        prior=str(classifier.prior or ""),
    )


def _parameters(classifier: Classifier) -> int | None:
    """Count the parameters if the model has a Keras file."""
    if not classifier.files:
        return None
    path = classifier.files[0]
    return parameters(weights.files(path.stem, path.parent).get("keras"))


def _scene_search(options: argparse.Namespace) -> SceneSearch:
    chosen = select(options.backend, options.weights)
    score = chosen.defaults.still_score if options.score is None else options.score
    detector = create(
        chosen,
        score=score,
        long_side=options.long_side or LONG_SIDE,
        square=True,
    )
    return SceneSearch(detector, chosen, score, options.tiles)


def _scenes(
    options: argparse.Namespace, search: SceneSearch, classifier: Classifier, dataset: Dataset
) -> Iterator[DomainGap]:
    """Draw the labeled faces into scenes, and, for robustness, some of them into corrupted ones."""
    labeled = dataset.subset(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    faces = datasets.gray_squares(labeled, ferplus.SIDE)
    styles = [("as drawn", SceneStyle(), len(faces))]
    if options.robustness:
        styles += [(one.name, one.scene, CORRUPTED_FACES) for one in CORRUPTIONS]
    for name, style, most in styles:
        with ProgressBar(f"scenes, {name}", unit="faces") as bar:
            found = detect_in_scenes(faces[:most], search, style, options.seed, bar.update)
        yield measure_gap(name, classifier, labeled, found, options.min_quality)


def _videos(
    options: argparse.Namespace, classifier: Classifier, dataset: Dataset
) -> Iterator[VideoReport]:
    """Draw labeled faces into each kind of video, and analyze it."""
    labeled = dataset.subset(np.flatnonzero(dataset.truths[dataset.protocol] >= 0))
    labeled = labeled.subset(np.arange(min(options.video_faces, len(labeled))))
    if not len(labeled):
        return
    faces = datasets.gray_squares(labeled, ferplus.SIDE)
    true = [classifier.labels[index] for index in labeled.truths[labeled.protocol]]
    bare = [
        classifier.labels[index] for index in predict_all(classifier, labeled.images).argmax(axis=1)
    ]
    for kind in KINDS:
        with ProgressBar(f"video, {kind.name}", unit="frames") as bar:
            scores = measure_video(faces, kind, options, lambda done: bar.update(done, None))
        yield summarize(kind.name, scores, true, bare)
