"""How the log looks: as text and as JSON, with and without honcho."""

import json
import logging
import re
import warnings
from collections.abc import Iterator

import pytest

from emostream.services.cli.log_options import log_words, take_log_options
from emostream.services.cli.main import main
from emostream.shared.errors import ConfigError, ExitCode, RecordingError
from emostream.shared.logs import HONCHO_PROCESS, log_end, log_to_stderr, message_of

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _without_honcho(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(HONCHO_PROCESS, raising=False)
    monkeypatch.setattr("sys.excepthook", lambda *_: None)
    yield
    logging.captureWarnings(False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_stages_lines_begin_with_the_time_and_the_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_stderr("debug", "text", "capture")
    log = logging.getLogger("emostream")
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("a %s", level)
    debug, info, warning, error = lines(capsys)
    assert re.fullmatch(f"{TIME} debug: a debug", debug)
    assert re.fullmatch(f"{TIME} a info", info)
    assert re.fullmatch(f"{TIME} warning: a warning", warning)
    assert re.fullmatch(f"{TIME} error: a error", error)


def test_the_line_that_refuses_a_start_has_no_time_and_one_of_a_later_end_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_stderr("info", "text", "capture")
    log_end(ConfigError("wrong"))
    log_end(RecordingError("full"))
    refused, ended = lines(capsys)
    assert refused == "error: wrong"
    assert re.fullmatch(f"{TIME} error: full", ended)


def test_honcho_adds_the_time_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HONCHO_PROCESS, "capture.1")
    log_to_stderr("info", "text", "capture")
    logging.getLogger("emostream").error("bad")
    assert lines(capsys) == ["error: bad"]


def test_a_command_that_ends_soon_shows_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info")
    logging.getLogger("emostream").error("bad")
    assert lines(capsys) == ["error: bad"]


def test_json_has_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info", "json", "detector")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("emostream").exception("it failed: %s", "x\ny")
    warnings.simplefilter("always")
    warnings.warn("a library warns", UserWarning, stacklevel=1)
    failed, warned = map(json.loads, lines(capsys))
    assert re.fullmatch(TIME, failed.pop("time"))
    assert "ValueError: two\nlines" in failed.pop("exception")
    assert failed == {
        "level": "error",
        "stage": "detector",
        "logger": "emostream",
        "message": "it failed: x\ny",
    }
    assert "a library warns" in warned["message"]


@pytest.mark.parametrize(
    "line",
    [
        "bad: x",
        "error: bad: x",
        "2026-01-31T12:34:56.789Z bad: x",
        "2026-01-31T12:34:56.789Z error: bad: x",
    ],
)
def test_a_line_without_time_and_level(line: str) -> None:
    assert message_of(line) == "bad: x"


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--log-level", "debug", "capture", "--set", "a=1"], ["capture", "--set", "a=1"]),
        (["models", "list", "--log-level=debug"], ["models", "list"]),
        (["supervise", "capture", "--log-level", "debug", "--instance", "1"],
         ["supervise", "capture", "--instance", "1"]),
    ],
)  # fmt: skip
def test_the_options_may_stand_anywhere(words: list[str], left: list[str]) -> None:
    options, others = take_log_options(words)
    assert (options.log_level, others) == ("debug", left)
    assert log_words(options) == ["--log-level", "debug"]


@pytest.mark.parametrize("command", ["capture", "display", "models", "analyze", "replay", "top"])
def test_every_command_documents_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    help_text = capsys.readouterr().out
    assert "--log-level" in help_text
    assert "--log-format" in help_text


def test_an_error_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recorder", "--set", "recorder.colour=1", "--log-format", "json"]
    assert main(words) == ExitCode.USAGE
    (line,) = lines(capsys)
    assert json.loads(line)["level"] == "error"
