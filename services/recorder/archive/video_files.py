"""Names of recorded video files: `<stream>/<UTC time>-<run>-<n>.mp4` in the recorder's folder."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from emostream.services.recorder.archive.rows import Run
from emostream.shared.fields import STREAM_PATTERN

PATTERN: Final = re.compile(r"(\d{8}T\d{6}Z)-(\w{1,32})-(\d+)\.mp4", re.ASCII)
TIME: Final = "%Y%m%dT%H%M%SZ"
LONGEST_RUN: Final = 32


@dataclass(frozen=True, slots=True, order=True)
class VideoFileName:
    """The parts of a file name; names of one run sort in writing order.

    `second` is the capture time of the first frame, in s since the epoch, `run` the run's id as far
    as a file name may contain it, and `number` distinguishes files of the same second.
    """

    second: int
    run: str
    number: int

    @classmethod
    def parse(cls, path: Path) -> Self | None:
        """Parse the path's last part; None if it is not a recorder's file name."""
        match = PATTERN.fullmatch(path.name)
        if match is None:
            return None
        try:
            began = datetime.strptime(match[1], TIME).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(round(began.timestamp()), match[2], int(match[3]))

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.second, UTC):{TIME}}-{self.run}-{self.number}.mp4"


def unused_path(folder: Path, run: str, t: int) -> Path:
    """Return an unused name in a stream's folder, for frames from `t` on.

    `t` is in ns since the epoch.
    """
    number = 0
    while (path := folder / str(VideoFileName(t // 10**9, _run_in_name(run), number))).exists():
        number += 1
    return path


def video_files(folder: Path) -> list[Path]:
    """Return all of the recorder's video files below its folder, without links."""
    return [
        path
        for path in folder.glob("*/*.mp4")
        if STREAM_PATTERN.fullmatch(path.parent.name)
        and VideoFileName.parse(path)
        and not path.is_symlink()
        and not path.parent.is_symlink()
        and path.is_file()
    ]


def video_files_of(run: Run, folder: Path) -> list[Path]:
    """Return a run's video files below the recorder's folder, in picture order."""
    wanted = _run_in_name(run.id)
    named = [(VideoFileName.parse(path), path) for path in folder.glob(f"{run.stream}/*.mp4")]
    ours = ((name, path) for name, path in named if name and name.run == wanted)
    return [path for _, path in sorted(ours)]


def _run_in_name(run: str) -> str:
    # The run id comes from the network, so it must not lead out of the folder.
    return re.sub(r"\W", "_", run, flags=re.ASCII)[:LONGEST_RUN] or "_"
