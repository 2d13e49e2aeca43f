"""A disk without room, for temporary files or for results, ends in one line and never a traceback.

What was written before stays.
"""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from emostream.services.cli import main as cli
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.analysis.stage_run import run_stages
from emostream.services.cli.processes import stage_group
from emostream.services.cli.processes.child_process import PROGRAM
from emostream.services.cli.results.photos.copies import write_copy
from emostream.shared.config import Config
from emostream.shared.errors import ExitCode, RecordingError
from tests.disks import small_disk

NO_ROOM = os.strerror(errno.ENOSPC)
SILENT = [PROGRAM[0], "-c", "raise SystemExit(2)"]


def run(folder: Path) -> RunFile:
    """Return the record of a run whose stages were to write into the folder."""
    record = RunFile("r", "cam1", {}, {}, {})
    run_stages(Config(), record, folder, lambda frames: None)
    return record


def test_no_room_for_temporary_files_stops_a_run_that_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
        disk.fill()
        record = run(tmp_path)
        assert not [path for path in disk.path.iterdir() if path.is_dir()]
    assert record.status == "partial"
    assert NO_ROOM in record.message
    assert "TMPDIR" in record.message


def test_no_folder_for_temporary_files_stops_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    record = run(tmp_path)
    assert record.status == "partial"
    assert "cannot write temporary files: No such file" in record.message


@pytest.mark.parametrize(("size", "said"), [("1m", "it printed nothing"), ("16k", NO_ROOM)])
def test_a_stage_that_found_no_room_for_its_last_words_is_not_blamed(
    size: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_group, "stage_command", lambda *_: SILENT)
    with small_disk(tmp_path / "disk", size) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
        record = run(tmp_path)
    assert record.status == "partial"
    assert said in record.message


def test_a_copy_of_a_photo_is_whole_or_none(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    with small_disk(tmp_path / "disk", "64k") as disk:
        with pytest.raises(RecordingError, match=NO_ROOM):
            write_copy(disk.path, "a.png", noise, [])
        assert not [*disk.path.rglob("a.png")]


@pytest.mark.parametrize("name", ["x.txt", None])
def test_a_full_disk_that_no_command_expects_is_one_line(
    name: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, NO_ROOM, name)

    monkeypatch.setattr(cli, "_parser", fail)
    assert cli.main(["config"]) == ExitCode.FAILURE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert NO_ROOM in error
