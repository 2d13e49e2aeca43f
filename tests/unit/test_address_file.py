"""The file by which a process tells its parent where it can be reached."""

import json
import os
from pathlib import Path

import pytest

from emostream.shared.address_file import VARIABLE, Addresses, read_addresses, write_addresses
from emostream.shared.errors import ConfigError, EmostreamError, ExitCode

FOUND = Addresses("http://127.0.0.1:9102/metrics", ("tcp://127.0.0.1:5552",))


def test_the_parent_reads_what_the_process_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "detector.json"
    monkeypatch.setenv(VARIABLE, str(file))
    assert read_addresses(file) is None
    write_addresses(Addresses(FOUND.metrics))
    write_addresses(FOUND)
    assert read_addresses(file) == FOUND
    assert json.loads(file.read_text("utf-8")) == {
        "metrics": "http://127.0.0.1:9102/metrics",
        "endpoints": ["tcp://127.0.0.1:5552"],
    }
    assert list(tmp_path.iterdir()) == [file]


NO_ADDRESSES = {
    "empty": "",
    "cut": "[",
    "nothing": "{}",
    "number": '{"metrics": 1}',
    "deep": "[" * 100_000,
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("text", NO_ADDRESSES.values(), ids=NO_ADDRESSES)
def test_what_no_process_wrote_holds_no_addresses(text: str, tmp_path: Path) -> None:
    file = tmp_path / "detector.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert read_addresses(file) is None


def test_without_a_parent_that_asks_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    write_addresses(FOUND)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none" / "detector.json"))
    with pytest.raises(ConfigError, match=f"{VARIABLE} .*detector.json cannot be written: No such"):
        write_addresses(FOUND)


def test_a_disk_that_is_full_is_no_wrong_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would end a whole pipeline, which can continue once there is room."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / f".detector.json.{os.getpid()}.part").symlink_to("/dev/full")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "detector.json"))
    with pytest.raises(EmostreamError, match="No space left on device") as refused:
        write_addresses(FOUND)
    assert refused.value.exit_code == ExitCode.FAILURE


def test_a_file_that_nobody_can_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "detector.json").write_text("{")
    assert read_addresses(tmp_path / "detector.json") is None
    assert read_addresses(tmp_path) is None
