"""The report of an analysis: one self-contained HTML page that works offline."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from emostream.services.capture.picture import Pictures
from emostream.services.cli.results.page_text import FILTERS
from emostream.services.cli.results.report.charts import NS, axis, percents, zooms
from emostream.services.cli.results.report.faces import (
    face_section,
    face_summary,
    face_thumbnails,
    longest,
)
from emostream.services.cli.results.report.history import FaceHistory, RunHistory, run_history
from emostream.services.cli.results.report.overview import label_styles, report_events
from emostream.services.cli.results.video.annotated import ANNOTATED_VIDEO
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import Run
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import RecordingError
from emostream.shared.left_out import left_out_text
from emostream.shared.optional_groups import require
from emostream.shared.user_path import path_text

REPORT: Final = "report.html"
# A copy of the model card next to the page, so that the link works if the folder is moved.
MODEL_CARD: Final = "model-card.md"
MOST_EVENTS: Final = 4000
# The models that models/CARD.md describes.
CARDS: Final = ("alexnet-fer", "alexnet-fer-int8")
TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class ReportFacts:
    """Facts on the page that are not in the rows.

    `title` is the file name, `sha256` is for the model, `version` for this program. `broken` says
    why and where a partial result ends, empty for a complete one; `sampled` is the sample rate if
    not all frames were analyzed, such as "5/s". `prior` describes the label shares that the
    probabilities assume, if known. `card` is the file of the model card.
    """

    title: str
    model: str
    sha256: str
    version: str
    broken: str = ""
    sampled: str = ""
    prior: str = ""
    card: Path | None = None


def require_jinja2() -> None:
    """Raise MissingPackageError, which names the group, if the page's package is missing."""
    require("the report", "analyze", "jinja2")


def write_report(
    folder: Path,
    reader: ArchiveReader,
    run: Run,
    facts: ReportFacts,
    video: Path | None = None,
    pictures: Pictures | None = None,
) -> Path:
    """Write the page of a run to the folder, and return its path.

    Thumbnails are cropped from `pictures`, where picture n is frame n; without pictures, there are
    none. The page plays annotated.mp4 if it exists in the folder, or else `video`, the analyzed
    file. Raises RecordingError if the database cannot be read or the page not written.
    """
    history = run_history(reader, run)
    page = {
        **_of_run(history, reader, run),
        **_of_faces(history, pictures),
        **_of_video(folder, video),
        "facts": facts,
        "broken": (facts.broken or run.error).rstrip("."),
        "card": MODEL_CARD if facts.card else "",
        "has_known_card": facts.model in CARDS,
    }
    path = folder / REPORT
    try:
        if facts.card:
            with atomic_file(folder / MODEL_CARD) as part:
                shutil.copyfile(facts.card, part)
        with atomic_file(path) as part:
            part.write_text(_html(page), "utf-8")
    except OSError as error:
        raise RecordingError(
            f"cannot write {path}: {error.strerror}. Free some space or allow writing there"
        ) from error
    return path


def _of_run(history: RunHistory, reader: ArchiveReader, run: Run) -> dict[str, Any]:
    """Return the page's facts about the whole run."""
    events = islice(reader.event_rows(run), MOST_EVENTS)
    return {
        "run": run,
        "history": history,
        "left_out": left_out_text(history.left_out),
        "rows": history.rows,
        "length": history.length / NS,
        # A single picture has no duration in which anything happens.
        "still": history.frames == 1,
        "events": report_events(history, [*events]),
        "axis": axis(history.length),
        "zooms": zooms(history.length),
    }


def _of_faces(history: RunHistory, pictures: Pictures | None) -> dict[str, Any]:
    """Return the page's facts about each face."""
    faces, others = longest(history)
    labels = label_styles(history)
    urls = face_thumbnails(faces, pictures)
    return {
        "labels": labels,
        "index": {label.name: index for index, label in enumerate(labels)},
        "faces": [face_section(history, face, labels, urls) for face in faces],
        "others": [face_summary(face, labels) for face in others],
        "pictures": len(urls),
        "moments": sum(len(face.spans) for face in faces) if pictures else 0,
        "data": _data(history, faces),
    }


def _data(history: RunHistory, faces: Sequence[FaceHistory]) -> dict[str, Any]:
    """Return the curves for the page's script, which shows values under the pointer."""
    return {
        "length": history.length / NS,
        "labels": history.labels,
        "parts": [round(start / NS, 3) for start, _ in history.intervals],
        "faces": {face.number: percents(face) for face in faces},
    }


def _of_video(folder: Path, video: Path | None) -> dict[str, str]:
    """Return the URL and name of the video that the page plays, empty if there is none."""
    if (folder / ANNOTATED_VIDEO).is_file():
        return {"video": ANNOTATED_VIDEO, "video_name": ANNOTATED_VIDEO}
    if video is None or not video.is_file():
        return {"video": "", "video_name": ""}
    path = os.path.relpath(video.resolve(), folder.resolve())
    return {"video": quote(os.fsencode(path)), "video_name": path_text(video.name)}


def _html(page: dict[str, Any]) -> str:
    # Imported here, so that tables do not need it.
    from emostream.shared.html_templates import templates

    pages = templates(TEMPLATES, **{filter.__name__: filter for filter in FILTERS})
    pages.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return pages.get_template(REPORT).render(page)
