"""Passwords of sources: where they come from, and that they are shown nowhere."""

import json
import threading
from pathlib import Path

import msgspec
import pytest

from emostream.services.capture.clock import Clock
from emostream.services.capture.picture import OnSkip, Pictures
from emostream.services.capture.source_thread import SourceThread
from emostream.services.cli.doctor import sources as doctor
from emostream.services.cli.main import main
from emostream.services.cli.processes.config_file import as_table
from emostream.shared.config import Config, Source, load
from emostream.shared.config.secrets import resolve, without_secrets
from emostream.shared.errors import ConfigError, ExitCode, SourceError
from emostream.shared.source_urls import escape, expand

PASSWORD = "p@ss:w/rd"
WRITTEN = "p%40ss:w%2Frd"


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("rtsp://user:${CAM1}@host/s", f"rtsp://user:{WRITTEN}@host/s"),
        ("rtsp://${BOTH}@host/s", "rtsp://me:secret@host/s"),
        ("${URL}", "rtsp://me:secret@cam/1"),
        ("http://host/${TOKEN}/v?key=${TOKEN}", "http://host/abcd1234/v?key=abcd1234"),
        ("rtsp://user:$${CAM1}@host", "rtsp://user:${CAM1}@host"),
        ("price$5.mp4", "price$5.mp4"),
    ],
)
def test_variables_of_the_environment_are_put_in(url: str, opened: str) -> None:
    environment = {
        "CAM1": PASSWORD,
        "BOTH": "me:secret",
        "URL": "rtsp://me:secret@cam/1",
        "TOKEN": "abcd1234",
    }
    assert expand(url, environment)[0] == opened


@pytest.mark.parametrize("url", ["a.mp4", "${a}.mp4", "$${a}.mp4", "$$${a}", "${", "$$"])
def test_what_is_escaped_is_taken_as_it_is(url: str) -> None:
    assert expand(escape(url), {}) == (url, set())


def test_a_variable_that_is_not_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["capture", "--set", "capture.sources=[{url='rtsp://u:${NO_SUCH_CAM}@h'}]"]
    for more in ([], ["--check-config"]):
        assert main([*words, *more]) == ExitCode.USAGE
        said = capsys.readouterr().err
        assert "NO_SUCH_CAM is not set" in said
        assert said.count("\n") == 1


def test_other_stages_need_no_variable_of_the_sources() -> None:
    words = ["recorder", "--set", "capture.sources=[{url='rtsp://u:${NO_SUCH_CAM}@h'}]"]
    assert main([*words, "--check-config"]) == ExitCode.OK


def test_a_file_holds_the_password(tmp_path: Path) -> None:
    file = tmp_path / "cam1"
    file.write_text(f"{PASSWORD}\n")
    source = Source(url="rtsp://user@host:554/s", password_file=str(file))
    opened, secrets = resolve(source)
    assert opened.url == "rtsp://user:p%40ss%3Aw%2Frd@host:554/s"
    assert PASSWORD in secrets


@pytest.mark.parametrize(
    ("content", "url", "said"),
    [
        (None, "rtsp://u@h/s", "cannot be read"),
        (" \n", "rtsp://u@h/s", "is empty"),
        ("secret", "rtsp://h/s", "has no user"),
        ("secret", "rtsp://h/a@b", "has no user"),
        ("secret", "rtsp://u:p@h/s", "already has a password"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_named(
    content: str | None, url: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "cam1"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        resolve(Source(name="door", url=url, password_file=str(file)))
    assert "door" in str(caught.value)


class StoppedClock:
    """A clock that never waits."""

    def now(self) -> float:
        """Return no time."""
        return 0.0

    def wait(self, seconds: float) -> bool:
        """Say at once that all is over, except for the first time."""
        return seconds > 0

    def stop(self) -> None:
        """Do nothing."""


def test_nothing_that_a_source_says_holds_a_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CAM1", PASSWORD)
    monkeypatch.setenv("TOKEN", "abcd1234")
    opened: list[str] = []

    def fail(settings: Source, on_skip: OnSkip, clock: Clock) -> Pictures:
        opened.append(settings.url)
        on_skip(f"{settings.url}: a picture was left out")
        raise SourceError(f"{settings.url}: 401 for {PASSWORD} at abcd1234")

    source = Source(name="door", url="rtsp://user:${CAM1}@host/${TOKEN}/s")
    thread = SourceThread(source, threading.Condition(), StoppedClock(), fail)
    with caplog.at_level("INFO", "emostream"):
        thread.start()
        thread.join(10)
    assert opened == [f"rtsp://user:{WRITTEN}@host/abcd1234/s"]
    shown = f"{thread.status()} {thread.status().error} {caplog.text}"
    assert "401" in shown
    for secret in (PASSWORD, WRITTEN, "abcd1234"):
        assert secret not in shown


def test_the_doctor_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM1", PASSWORD)
    source = Source(name="door", url="udp://user:${CAM1}@127.0.0.1:1/${CAM1}")
    found = doctor.findings([source, Source(name="hall", url="rtsp://u:${NO_SUCH_CAM}@h")])
    text = " ".join(f"{each.found} {each.advice}" for each in found)
    assert PASSWORD not in text
    assert "NO_SUCH_CAM is not set" in text


def test_what_is_written_down_holds_no_password() -> None:
    source = Source(url="rtsp://user:secret@host/s?token=abcd1234")
    config = msgspec.structs.replace(Config(), capture=msgspec.structs.replace(
        Config().capture, sources=(source,)
    ))  # fmt: skip
    text = json.dumps(as_table(without_secrets(config)))
    assert "secret" not in text
    assert "abcd1234" not in text


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_a_password_in_a_file_that_all_may_read_is_warned_of(
    mode: int, warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[[capture.sources]]\nurl = "rtsp://user:secret@host"\n')
    path.chmod(mode)
    assert load(path).capture.sources[0].url == "rtsp://user:secret@host"
    assert main(["capture", "--config", str(path), "--check-config"]) == ExitCode.OK
    said = capsys.readouterr().err
    assert ("chmod 600" in said) == warned
    assert "secret" not in said
