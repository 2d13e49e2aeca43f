"""The names of the recorder's video files."""

from pathlib import Path

from emostream.services.recorder.archive.rows import Run
from emostream.services.recorder.archive.video_files import (
    VideoFileName,
    unused_path,
    video_files,
    video_files_of,
)

NS = 10**9
T = 1_700_000_000 * NS


def run(name: str) -> Run:
    return Run("cam1", name, T, None, "", recorded=1, last=0, events=0)


def test_a_run_finds_its_files_in_the_order_in_which_they_were_named(tmp_path: Path) -> None:
    folder = tmp_path / "cam1"
    folder.mkdir()
    named = []
    for t in (T, T + 5 * NS):
        for _ in range(11):  # so that names sort by number, not by letters
            named.append(unused_path(folder, "../a", t))
            named[-1].touch()
    unused_path(folder, "b", T).touch()
    assert len(set(named)) == 22
    assert video_files_of(run("../a"), tmp_path) == named
    assert len(video_files(tmp_path)) == 23


def test_a_name_says_the_second_of_its_first_frame(tmp_path: Path) -> None:
    # A float of these nanoseconds would be the next second.
    path = unused_path(tmp_path, "r1", T + NS - 1)
    assert VideoFileName.parse(path) == VideoFileName(T // NS, "r1", 0)


def test_a_name_that_no_recorder_gave_says_nothing() -> None:
    for name in ("clip.mp4", "20231314T221320Z-r1-0.mp4", "20231114T221320Z-r1-0.mkv"):
        assert VideoFileName.parse(Path(name)) is None
