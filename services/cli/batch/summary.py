"""The summary of a batch: the outcome, frames, faces and time of each file."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

from emostream.services.cli.batch.finish import Ended
from emostream.services.cli.batch.media import Media
from emostream.services.cli.batch.store import Store

NAME: Final = "summary"


@dataclass
class FileResult:
    """The outcome of a file.

    `status` is that in a video's `run.json`; `complete` or `unreadable` for a photo; `skipped` for
    other files; or `not analyzed` if the batch ended before. `frames`, `faces` and `seconds` (the
    total of its chunks) are only for videos; `repeated` and `reused` are as in `Ended`.
    """

    input: str
    recording: str
    status: str = "not analyzed"
    frames: int = 0
    faces: int = 0
    tracks: int = 0
    seconds: float = 0.0
    chunks: int = 0
    repeated: int = 0
    reused: int = 0
    message: str = ""


class Summary:
    """The outcomes of all files; `write` may be called after each one."""

    def __init__(
        self, media: Iterable[Media], refused: Mapping[str, str], skipped: Mapping[str, str]
    ) -> None:
        self._results = {one.url: FileResult(one.url, one.recording) for one in media}
        for status, files in (("unreadable", refused), ("skipped", skipped)):
            for url, why in files.items():
                self._results[url] = FileResult(url, "", status, message=why)

    def end(self, files: Iterable[Media], end: Ended) -> None:
        """Record the outcome of these files: one video, or all photos."""
        for media in files:
            result = self._results[media.url]
            result.status, result.message = end.status, end.message
            if media.is_photo:
                if why := end.unreadable.get(media.url):
                    result.status, result.message = "unreadable", why
                continue
            result.frames, result.faces, result.tracks = end.frames, end.faces, end.tracks
            result.seconds, result.chunks = round(end.seconds, 3), end.chunks
            result.repeated, result.reused = end.repeated, end.reused

    @property
    def counts(self) -> Counter[str]:
        """The number of files by status."""
        return Counter(result.status for result in self._results.values())

    def write(self, store: Store) -> None:
        """Write `summary.json` and `summary.csv`."""
        rows = [asdict(result) for result in self._results.values()]
        store.put_json({"count": self.counts, "files": rows}, f"{NAME}.json")
        text = io.StringIO()
        table = csv.DictWriter(text, [one.name for one in fields(FileResult)], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        store.put_text(text.getvalue(), f"{NAME}.csv")
