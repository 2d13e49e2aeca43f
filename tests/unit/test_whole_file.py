"""Files that a user names and that are read whole: no device, pipe or giant holds a command up."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emostream.models.weights import checksums
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.main import main
from emostream.shared.address_file import read_addresses
from emostream.shared.errors import ConfigError, EmostreamError
from emostream.shared.secret_file import read_secret
from emostream.shared.shipped_files import CONFIGS, FOLDER_CONFIG, find_config
from emostream.shared.toml_file import read_text
from emostream.shared.whole_file import MAX_BYTES, read_whole

BAD = ("folder", "zero", "large", "bytes")


def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert read_whole(path, 3) == b"abc"
    with pytest.raises(OSError) as caught:
        read_whole(path, 2)
    assert "larger than" in str(caught.value.strerror)


def test_a_device_without_an_end_is_refused_at_the_bound() -> None:
    with pytest.raises(OSError) as caught:
        read_whole(Path("/dev/zero"))
    assert caught.value.strerror == f"it is larger than {MAX_BYTES >> 20} MiB"


def test_a_pipe_into_which_nobody_writes_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = time.monotonic()
    with pytest.raises(OSError) as caught:
        read_whole(pipe, max_seconds=0.1)
    assert "nobody writes" in str(caught.value.strerror)
    assert time.monotonic() - before < 5


def test_what_another_command_writes_into_a_pipe_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"threads = 1\r\n")
    os.close(writing)
    try:
        assert read_text(Path(f"/dev/fd/{reading}")) == "threads = 1\n"
    finally:
        os.close(reading)


def make_bad(path: Path, what: str) -> None:
    """Put something at the path that no reader takes."""
    if what == "folder":
        path.mkdir()
    elif what == "zero":
        path.symlink_to("/dev/zero")
    elif what == "large":
        with path.open("wb") as file:
            file.truncate(10 * MAX_BYTES)
    else:
        path.write_bytes(b"\xff\xfe\xff")


@pytest.mark.parametrize("what", BAD)
def test_a_supervisor_finds_no_addresses_in_what_cannot_be_read(what: str, tmp_path: Path) -> None:
    make_bad(tmp_path / "detector.json", what)
    assert read_addresses(tmp_path / "detector.json") is None


def checked(folder: Path) -> None:
    assert checksums(folder / "model.tflite")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.toml", lambda folder: read_text(folder / "x.toml")),
        ("token", lambda folder: read_secret(folder / "token", "display.token_file")),
        ("run.json", RunFile.read),
    ],
)
@pytest.mark.parametrize("what", BAD)
def test_each_reader_has_one_clear_error(
    name: str, read: Callable[[Path], object], what: str, tmp_path: Path
) -> None:
    make_bad(tmp_path / name, what)
    with pytest.raises(EmostreamError) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_checksums_that_are_no_text_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "model.sha256").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EmostreamError, match=r"model.sha256: is not UTF-8 text"):
        checked(tmp_path)


def test_a_command_ends_at_once_for_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detector", "--config", "/dev/zero", "--check-config"]) == 2
    assert "/dev/zero: cannot be read: it is larger than 16 MiB" in capsys.readouterr().err


def test_a_configuration_comes_from_standard_input() -> None:
    words = [sys.executable, "-m", "emostream", "detector", "--check-config"]
    done = subprocess.run(
        [*words, "--config", "/dev/stdin"], input=b"[detector]\nthreads = 2\n",
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_folder_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    with pytest.raises(ConfigError, match=r"--config site: a folder; name a file in it"):
        find_config("site")
    Path("site", FOLDER_CONFIG).touch()
    with pytest.raises(ConfigError, match=r"--config site: a folder; write site/emostream.toml"):
        find_config("site")


def test_a_folder_with_a_configuration_is_not_passed_over_for_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cameras").mkdir()
    assert find_config("cameras") == CONFIGS / "cameras.toml"
    Path("cameras", FOLDER_CONFIG).touch()
    with pytest.raises(ConfigError, match=r"a folder; write cameras/emostream.toml, or /.*shipped"):
        find_config("cameras")
