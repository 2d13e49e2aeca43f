"""The analysis of the photos among the inputs: one folder of results for all of them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from emostream.services.cli.analysis.reporter import Reporter
from emostream.services.cli.analysis.run_file import NAME, versions, write_json
from emostream.services.cli.processes.config_file import as_table
from emostream.services.cli.results.folder import fresh_folder
from emostream.services.cli.results.photos.analysis import analyze_photos
from emostream.services.recognition.recognizer import Recognizer
from emostream.shared.config import Config
from emostream.shared.config.secrets import without_secrets
from emostream.shared.errors import ExitCode
from emostream.shared.plural import counted

FOLDER: Final = "photos"


def run_photo_job(paths: Sequence[Path], config: Config, out: Path, reporter: Reporter) -> ExitCode:
    """Analyze photos into `out/photos`, show that to `reporter`, and return the exit code.

    INCOMPLETE where some of them cannot be read, FAILURE where none can.
    """
    recognizer = _recognizer(config)
    folder = fresh_folder(out, FOLDER)
    reporter.start(FOLDER, "photos", len(paths))
    found = analyze_photos(paths, folder, recognizer, tell=lambda done, _: reporter.update(done))
    facts = {**asdict(found), "config": as_table(without_secrets(config)), "versions": versions()}
    write_json(folder / NAME, facts)
    line = f"{counted(len(found.photos), 'photo')}, {counted(found.faces, 'face')} -> {folder}"
    if found.unreadable:
        line += f" ({len(found.unreadable)} cannot be read)"
    reporter.end(FOLDER, line, facts)
    if not found.unreadable:
        return ExitCode.OK
    return ExitCode.INCOMPLETE if found.photos else ExitCode.FAILURE


def _recognizer(config: Config) -> Recognizer:
    detector, classifier = config.detector, config.classifier
    return Recognizer(
        classifier.model,
        engine=classifier.engine,
        detector=detector.backend,
        weights=Path(detector.weights) if detector.weights else None,
        score=detector.score,
        tiles=detector.tiles,
    )
