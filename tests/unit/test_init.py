"""`emostream init`: what it writes, what it asks, and what it leaves alone."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import msgspec
import pexpect
import pytest

from emostream.services.cli.doctor.v4l2 import Camera
from emostream.services.cli.init import command
from emostream.services.cli.init.config_text import config_text
from emostream.services.cli.init.questions import Choices, ask_all
from emostream.services.cli.init.settings_page import key_defaults, key_meanings
from emostream.services.cli.main import main
from emostream.services.cli.processes.stages import STAGES
from emostream.services.cli.toml_text import toml_value
from emostream.shared.config import Config, Source, load
from tests.config_defaults import defaults
from tests.conftest import take_sigint

CAMERA = Camera("/dev/video2", "A camera")


def uncommented(text: str) -> str:
    """Take the "#" away before each key."""
    return re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)


def test_every_key_is_in_it_with_its_default() -> None:
    text = config_text(Source(), {})
    assert msgspec.convert(tomllib.loads(text), Config) == Config()
    whole = tomllib.loads(uncommented(text))
    assert msgspec.convert(whole, Config) == Config()
    (whole["sources"],) = whole["capture"].pop("sources")
    for key, value in defaults(Config()):
        table, _, name = key.rpartition(".")
        written = (whole[table] if table else whole).get(name)
        assert toml_value(written) == toml_value(value) if written is not None else value is None
        assert name in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_documentation_says_the_same_defaults() -> None:
    said = key_defaults()
    for key, value in defaults(Config()):
        unset = "the model's" if key.startswith("classifier.") else "the backend's"
        assert said[key] == (unset if value is None else toml_value(value)), key
    assert all(meaning and "](" not in meaning for meaning in key_meanings().values())


def test_what_differs_from_the_default_is_set(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(config_text(Source(name="door", url='a"b\\.mp4'), {"recorder.video": True}))
    config = load(path)
    assert config.capture.sources == (Source(name="door", url='a"b\\.mp4'),)
    assert config.recorder.video
    assert config == msgspec.structs.replace(
        Config(), capture=config.capture, recorder=config.recorder
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"), (3, "3"), (1e-07, "1e-07"), ('a"\\\n\x7f😀', None),
        (["a", 1.5], '["a", 1.5]'), ({"a": [{"b": False}]}, "{ a = [{ b = false }] }"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_it_was(value: object, written: str | None) -> None:
    assert written in (None, toml_value(value))
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_without_a_terminal_it_writes_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a b" / "c"
    assert main(["init", str(folder)]) == 0
    assert load(folder / "emostream.toml") == Config()
    lines = (folder / "Procfile").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == list(STAGES)
    assert f"start it: cd {shlex.quote(str(folder))} && " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Procfile", "emostream.toml"])
@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_exists_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, is_link: bool
) -> None:
    if is_link:
        (tmp_path / name).symlink_to("nowhere")
    else:
        (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / name} exists: nothing was written")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_where_the_folder_should_be_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"error: {tmp_path / 'file'} is not a folder: nothing was written; choose another\n"
    )


def test_a_folder_that_cannot_be_made_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file" / "x")]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"error: .+emostream.toml cannot be written: Not a directory\n", error)


@pytest.mark.parametrize(
    ("cameras", "answers", "choices"),
    [
        ([], [True, True, False], Choices()),
        ([], [False, False], Choices(page=False, record=False)),
        (
            [CAMERA],
            [True, True, True, True],
            Choices(source=Source(name="webcam", url="camera:2"), video=True),
        ),
        ([CAMERA, CAMERA], [False, False, True, False], Choices(record=False)),
        (
            None,
            [True, True, False],
            Choices(source=Source(name="webcam", url="camera:0"), record=False),
        ),
    ],
)
def test_the_answers_are_followed(
    cameras: list[Camera] | None, answers: list[bool], choices: Choices
) -> None:
    given = iter(answers)
    assert ask_all(lambda question, default: next(given), cameras) == choices
    assert next(given, None) is None


def test_stages_that_are_not_wanted_are_not_started() -> None:
    files = command._files(Choices(page=False, record=False))
    assert [line.partition(":")[0] for line in files["Procfile"].splitlines()] == [
        "capture", "detector", "classifier"
    ]  # fmt: skip


def terminal(folder: Path) -> "pexpect.spawn[str]":
    """Run `emostream init` on its own terminal."""
    words = ["-m", "emostream", "init", str(folder)]
    # Whatever cameras this machine has, none is found.
    no_cameras = (
        "import sys; from emostream.services.cli.init import command; from emostream.services.cli "
        "import main; command.list_cameras = list; sys.exit(main.main(sys.argv[3:]))"
    )
    command = ["-c", no_cameras, *words]
    return pexpect.spawn(
        sys.executable, command, encoding="utf-8", timeout=60, preexec_fn=take_sigint
    )


def test_it_asks_on_a_terminal(tmp_path: Path) -> None:
    child = terminal(tmp_path)
    child.expect_exact("No camera found; using the built-in demo.")
    child.expect_exact("Show the page on http://127.0.0.1:8080? [Y/n] ")
    child.sendline("maybe")
    child.expect_exact("Please answer y or n.")
    child.expect_exact("[Y/n] ")
    child.sendline("")
    child.expect_exact("Record emotions and events in recordings/? [Y/n] ")
    child.sendline("YES")
    child.expect_exact("Record annotated video too? [y/N] ")
    child.sendline("y")
    child.expect(pexpect.EOF)
    assert child.wait() == 0
    assert load(tmp_path / "emostream.toml").recorder.video


@pytest.mark.parametrize(("key", "code", "said"), [("c", 130, ""), ("d", 2, "nothing was written")])
def test_an_interrupted_question_writes_nothing(
    tmp_path: Path, key: str, code: int, said: str
) -> None:
    child = terminal(tmp_path)
    child.expect_exact("[Y/n] ")
    child.sendcontrol(key)
    child.expect(pexpect.EOF)
    assert said in child.before
    assert "Traceback" not in child.before
    assert child.wait() == code
    assert not any(tmp_path.iterdir())
