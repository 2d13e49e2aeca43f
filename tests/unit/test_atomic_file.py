"""A file that is written in one step."""

from pathlib import Path

import pytest

from emostream.shared.atomic_file import atomic_file


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with atomic_file(path) as part:
        part.write_text("half")
        assert not path.exists()
        part.write_text("whole")
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "whole"


def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "old"


def test_writing_into_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError), atomic_file(tmp_path / "no" / "file") as part:
        part.write_text("")


def test_a_name_may_be_as_long_as_any(tmp_path: Path) -> None:
    path = tmp_path / ("面" * 85)
    with atomic_file(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"
