"""The recorder's video files."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from emostream.services.recorder import encoding
from emostream.services.recorder.archive.video_files import VideoFileName
from emostream.services.recorder.encoding import ENCODERS, best_encoder
from emostream.services.recorder.stream_recording import StreamRecording
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import RecordingError
from emostream.shared.messages import Frame
from tests.unit.videos import key_times

MS = 10**6
ENCODER = best_encoder()


def picture(n: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A gray that tells n, so that a test sees which picture it got back."""
    return np.full((height, width, 3), 8 + 4 * n, np.uint8)


def header(pts_ms: int, run: str = "r1", width: int = 64, height: int = 48) -> Frame:
    return Frame(
        stream="cam1", run=run, seq=0, t=1_700_000_000 * 10**9, pts=pts_ms * MS, marks={},
        width=width, height=height, encoding="bgr8",
    )  # fmt: skip


def shown(path: Path) -> list[tuple[int, int]]:
    """Return (ms, n) of each picture of the file."""
    with av.open(path) as container:
        return [
            (round(frame.time * 1000), round((frame.to_ndarray(format="bgr24").mean() - 8) / 4))
            for frame in container.decode(video=0)
        ]


def seconds(path: Path) -> float:
    with av.open(path) as container:
        return (container.duration or 0) / 1e6


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("encoder", [ENCODER, "mpeg4"])
def test_dropped_frames_keep_their_time(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "video.mp4"
    kept = [0, 1, 2, 3, 10, 11, 40, 41]
    with VideoFile(path, 64, 48, encoder) as file:
        for n in kept:
            file.write(picture(n), 5_000 * MS + n * 40 * MS)
    assert shown(path) == [(n * 40, n) for n in kept]
    assert seconds(path) == pytest.approx(41 * 0.04, abs=0.05)


def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    program = f"""
import os, signal
import numpy as np
from pathlib import Path
from emostream.services.recorder.video_file import VideoFile
file = VideoFile(Path({str(path)!r}), 64, 48, {ENCODER!r})
for n in range(60):
    file.write(np.full((48, 64, 3), 8 + 4 * n, np.uint8), n * 40_000_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr
    assert shown(path) == [(n * 40, n) for n in range(59)]


def test_a_viewer_can_seek_every_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoFile(path, 64, 48, ENCODER) as file:
        for n in range(60):
            file.write(picture(n), n * 100 * MS)
    assert key_times(path) == [0, 2, 4]


@pytest.mark.parametrize("encoder", [ENCODER, "mpeg4"])
@pytest.mark.parametrize(
    "size,padded", [((1, 1), (2, 2)), ((63, 48), (64, 48)), ((64, 47), (64, 48)), ((5, 3), (6, 4))]
)
def test_odd_sizes_are_padded(
    tmp_path: Path, encoder: str, size: tuple[int, int], padded: tuple[int, int]
) -> None:
    path = tmp_path / "video.mp4"
    with VideoFile(path, *size, encoder) as file:
        file.write(picture(40, *size), 0)
    with av.open(path) as container:
        (frame,) = container.decode(video=0)
    assert (frame.width, frame.height) == padded
    assert frame.to_ndarray(format="gray").std() < 2


@pytest.mark.parametrize("encoder", [ENCODER, "mpeg4"])
def test_the_last_rows_are_there_whatever_the_height(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "video.mp4"
    white_below = np.zeros((50, 64, 3), np.uint8)
    white_below[46:] = 255
    with VideoFile(path, 64, 50, encoder) as file:
        file.write(white_below, 0)
    with av.open(path) as container:
        (frame,) = container.decode(video=0)
    rows = frame.to_ndarray(format="gray").mean(axis=1)
    assert len(rows) == 50
    assert rows[:45].max() < 25 < 230 < rows[46:].min()


def test_colors_survive(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    orange = np.full((48, 64, 3), (0, 94, 213), np.uint8)
    orange.flags.writeable = False
    with VideoFile(path, 64, 48, ENCODER) as file:
        file.write(orange, 0)
    with av.open(path) as container:
        (frame,) = container.decode(video=0)
    assert np.abs(frame.to_ndarray(format="bgr24")[24, 32].astype(int) - (0, 94, 213)).max() < 8


def test_equal_timestamps_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoFile(path, 64, 48, ENCODER) as file:
        for n, pts in enumerate([0, 0, -5 * MS, 40 * MS]):
            file.write(picture(n), pts)
    assert [n for _, n in shown(path)] == [0, 1, 2, 3]
    assert shown(path)[-1] == (40, 3)


def test_a_writer_that_got_nothing_closes(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "video.mp4", 64, 48, ENCODER)
    file.close()
    file.close()


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(header(40, run="r2"), id="new run"),
        pytest.param(header(40, width=32), id="another size"),
        pytest.param(header(-1_500), id="pts jumps back"),
        pytest.param(header(600_000), id="10 minutes"),
    ],
)
def test_a_new_file_begins(tmp_path: Path, second: Frame) -> None:
    video = StreamRecording(tmp_path, ENCODER)
    video.write(header(0), picture(1))
    first = video.path
    video.write(second, picture(2, second.width))
    assert first is not None and shown(first) == [(0, 1)], "the first file must be finished"
    assert video.path != first
    video.close()
    assert [shown(path) for path in files(tmp_path)] == [[(0, 1)], [(0, 2)]]


def test_one_file_goes_on(tmp_path: Path) -> None:
    video = StreamRecording(tmp_path, ENCODER)
    for n, pts in enumerate([0, 40, 30, 5_000, 599_000]):
        video.write(header(pts), picture(n))
    video.close()
    assert len(files(tmp_path)) == 1
    assert video.path is None


def test_a_large_file_is_followed_by_another(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    video = StreamRecording(tmp_path, ENCODER, max_bytes=20_000)
    for n in range(50):
        video.write(header(n * 40), np.roll(noise, n, 1))
    video.close()
    assert len(files(tmp_path)) > 2
    assert all(path.stat().st_size < 40_000 for path in files(tmp_path))
    # The container takes some bytes of each file for itself.
    stored = sum(path.stat().st_size for path in files(tmp_path))
    assert 0.7 * stored < video.bytes < stored


@pytest.mark.parametrize("run", ["a1b2", "../../etc/x", "", "a b/c\0d" * 20])
def test_names_follow_the_pattern_whatever_the_run(tmp_path: Path, run: str) -> None:
    video = StreamRecording(tmp_path / "cam1", ENCODER)
    video.write(header(0, run=run), picture(0))
    video.close()
    (path,) = (tmp_path / "cam1").iterdir()
    assert VideoFileName.parse(path)
    assert path.name.startswith("20231114T221320Z-")


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cam1").write_text("a file in the way")
    with pytest.raises(RecordingError, match=r"cam1: .*recorder\.folder"):
        StreamRecording(tmp_path / "cam1", ENCODER).write(header(0), picture(0))


@pytest.mark.parametrize("encoder", [ENCODER, "mpeg4"])
def test_a_full_disk_is_one_clear_error(tmp_path: Path, encoder: str, small_disk: None) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    file = VideoFile(tmp_path / "video.mp4", 160, 120, encoder)
    with pytest.raises(RecordingError, match=r"cannot write .*video\.mp4: File too large"):
        for n in range(100):
            file.write(np.roll(noise, n, 1), n * 40 * MS)
    file.close()
    # It is closed, and without the fragment that did not fit.
    assert len(shown(tmp_path / "video.mp4")) == n - 1 > 0


def test_a_file_without_a_whole_picture_is_deleted(tmp_path: Path, small_disk: None) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    file = VideoFile(tmp_path / "video.mp4", 640, 480, "mpeg4")
    with pytest.raises(RecordingError, match="File too large"):
        for n in range(3):
            file.write(noise, n * 40 * MS)
    assert files(tmp_path) == [] and not (tmp_path / "video.mp4").exists()


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name in av.codecs_available])
def test_a_picture_that_no_encoder_takes_is_named_by_its_size(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "x.mp4"
    video = VideoFile(path, 65_535, 16, encoder)
    with pytest.raises(
        RecordingError, match=r"video of 65535 x 16 pixels: .*smaller pictures"
    ) as it:
        video.write(picture(0, 65_535, 16), 0)
    assert "Free some space" not in str(it.value)
    assert not path.exists()


def test_a_missing_encoder_falls_back_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_encoder() in ENCODERS
    monkeypatch.setattr(encoding, "ENCODERS", {"x264-that-nobody-built": {}, "mpeg4": {}})
    assert best_encoder() == "mpeg4"
    monkeypatch.setattr(encoding, "ENCODERS", {"x264-that-nobody-built": {}})
    with pytest.raises(RecordingError, match="no video encoder"):
        best_encoder()
