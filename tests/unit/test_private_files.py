"""Recordings are made for their owner alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.stream_recording import StreamRecording
from tests import builders


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_nobody_else_may_read_the_database(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    archive = ArchiveWriter(folder / "emostream.db")
    archive.add_emotion(builders.emotion())
    archive.commit()
    files = {path.name: mode(path) for path in folder.iterdir()}
    assert files == dict.fromkeys(("emostream.db", "emostream.db-wal", "emostream.db-shm"), 0o600)
    assert mode(folder) == 0o700
    archive.close()


def test_nobody_else_may_read_the_video(tmp_path: Path) -> None:
    folder = tmp_path / "cam1"
    recording = StreamRecording(folder, "libx264")
    header = builders.frame(width=64, height=48).header
    recording.write(header, np.zeros((48, 64, 3), np.uint8))  # type: ignore[arg-type]
    recording.close()
    (file,) = folder.iterdir()
    assert (mode(folder), mode(file)) == (0o700, 0o600)


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    ArchiveWriter(folder / "emostream.db").close()
    assert mode(folder) == 0o750
