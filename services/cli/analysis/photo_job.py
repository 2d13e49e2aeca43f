"""Analyzes the photos among the inputs, with one results folder for all of them."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.services.cli.analysis.estimated_prior import estimate_line, fitted, unestimated
from emostream.services.cli.analysis.reporter import Reporter
from emostream.services.cli.analysis.run_file import NAME, versions, write_json
from emostream.services.cli.analysis.video_job import AnalyzeOptions
from emostream.services.cli.processes.config_file import as_table
from emostream.services.cli.results.folder import fresh_folder
from emostream.services.cli.results.photos.analysis import analyze_photos
from emostream.services.recognition.recognizer import Recognizer
from emostream.shared.config import Config
from emostream.shared.config.secrets import without_secrets
from emostream.shared.errors import ExitCode, SourceError
from emostream.shared.left_out import left_out_text
from emostream.shared.plural import counted

FOLDER: Final = "photos"


def run_photo_job(
    paths: Sequence[Path], config: Config, asked: AnalyzeOptions, reporter: Reporter
) -> ExitCode:
    """Analyze photos into `photos` in the results folder, and return the exit code.

    INCOMPLETE if some of them cannot be read, FAILURE if none can.
    """
    recognizer = photo_recognizer(config)
    prior = recognizer.model.prior.facts() if recognizer.model.prior else {}
    if asked.estimate:
        reporter.start(FOLDER, "prior", len(paths))
        prior = _estimate_prior(paths, recognizer, config, reporter)
    folder = fresh_folder(asked.out, FOLDER)
    reporter.start(FOLDER, "photos", len(paths))
    found = analyze_photos(paths, folder, recognizer, tell=lambda done, _: reporter.update(done))
    facts = {
        **asdict(found),
        "prior": prior,
        "config": as_table(without_secrets(config)),
        "versions": versions(),
    }
    write_json(folder / NAME, facts)
    counts = [counted(len(found.photos), "photo"), counted(found.faces, "face")]
    counts += filter(None, [left_out_text(found.left_out)])
    line = f"{', '.join(counts)} -> {folder}"
    if found.unreadable:
        line += f" ({len(found.unreadable)} cannot be read)"
    if asked.estimate:
        line += f"\n{FOLDER}: {estimate_line(prior)}"
    reporter.end(FOLDER, line, facts)
    if not found.unreadable:
        return ExitCode.OK
    return ExitCode.INCOMPLETE if found.photos else ExitCode.FAILURE


def _estimate_prior(
    paths: Sequence[Path], recognizer: Recognizer, config: Config, reporter: Reporter
) -> dict[str, Any]:
    """Reweight the recognizer's model to the photos' estimated prior; return facts about it."""
    prior = unestimated(config.classifier)
    recognizer.model.prior = None
    rows: list[list[float]] = []
    for done, path in enumerate(paths, 1):
        # Reported when the photo is analyzed.
        with contextlib.suppress(SourceError), muted_stderr():
            found = [face for face in recognizer(path) if not face.left_out]
            rows += [list(face.probabilities.values()) for face in found]
        reporter.update(done)
    recognizer.model.prior = fitted(prior, np.array(rows), recognizer.model.labels)
    return {**recognizer.model.prior.facts(), "faces": len(rows), "unit": "faces"}


def photo_recognizer(config: Config) -> Recognizer:
    """Return the recognizer for single pictures from the configuration."""
    detector, classifier = config.detector, config.classifier
    return Recognizer(
        classifier.model,
        engine=classifier.model_engine,
        detector=detector.backend,
        weights=Path(detector.weights) if detector.weights else None,
        score=detector.score,
        tiles=detector.tiles,
        prior=classifier.prior,
        prior_strength=classifier.prior_strength,
        min_quality=classifier.min_quality,
        device=classifier.device,
    )
