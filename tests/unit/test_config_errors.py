"""What a wrong configuration is answered with: the line, what was meant, and nothing secret."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emostream.services.cli.main import main
from emostream.shared.config import load
from emostream.shared.config.schema import Address, Endpoint, HostName, RunId
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.fields import ALLOWED, StreamName

SOURCES = 5000
PASSWORD = "tr0ub4dor"


def refused(path: Path | None, *settings: str) -> str:
    """Return the one line with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        load(path, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str, name: str = "x.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "meant"),
    [
        ("[detector]\n\nthreds = 1\n", 3, "threads"),
        ("[detecter]\nthreads = 1\n", 1, "detector"),
        ('# first\nbackend = "haar"\n', 2, "detector.backend"),
        ("[display]\njpeg-quality = 80\n", 2, "jpeg_quality"),
        ('[[capture.sources]]\nname = "a"\n[[capture.sources]]\nnam = "b"\n', 4, "name"),
        ('[capture]\nsources = [\n  {name = "a"},\n  {uri = "demo"},\n]\n', 4, "url"),
        ("detector.threds = 1\n", 1, "threads"),
    ],
)
def test_a_misspelled_key_is_answered_with_its_line_and_what_was_meant(
    text: str, line: int, meant: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    said = refused(path)
    assert said.startswith(f"{path}: line {line}: ")
    assert said.endswith(f"did you mean `{meant}`?")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("display.Bind=1", "`bind`"),
        ("recorder.max_fps=3", "`display.max_fps`"),
        ("classifier.jpeg_qualty=3", "`capture.jpeg_quality` or `display.jpeg_quality`"),
        ("capture.fps=3", "`capture.sources.fps`"),
        ("display.blurr=true", "`blur` at the top level"),
        (
            "bind=1",
            "`capture.bind`, `detector.bind`, `classifier.bind`, `recorder.bind`, `display.bind` "
            "or `relay.bind`",
        ),
        ("capture.sources=[{nme='a'}]", "`name`"),
        ("capture.sources=[{encoding='jpeg'}]", "`capture.encoding`"),
    ],
)
def test_a_key_of_another_section_is_found(setting: str, meant: str) -> None:
    assert f"; did you mean {meant}? (--set " in refused(None, setting)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("capture.bind=x", "tcp://HOST:PORT or ipc://PATH, for example tcp://127.0.0.1:5551"),
        ("capture.bind=5551", "tcp://HOST:PORT or ipc://PATH, for example tcp://127.0.0.1:5551"),
        ("connect.frame=['x']", "tcp://HOST:PORT or ipc://PATH, for example tcp://127.0.0.1:5551"),
        ("display.page=8080", "HOST:PORT, for example 127.0.0.1:9200"),
        ("display.watch=['x']", "HOST:PORT, for example 127.0.0.1:9200"),
        ("allowed_hosts=['a b']", "a DNS name without a port, for example faces.example.org"),
        (
            "capture.sources=[{name='Big Cam'}]",
            "1 to 64 lowercase letters, digits, - and _, for example door_2",
        ),
        ("capture.run='a b'", "up to 64 letters, digits, - and _, for example 2026-05-01"),
    ],
)
def test_what_may_be_written_is_said_in_words(setting: str, said: str) -> None:
    assert f": write {said} (--set " in refused(None, setting)


@pytest.mark.parametrize("kind", [Endpoint, Address, HostName, RunId, StreamName])
def test_every_example_may_be_written(kind: Any) -> None:
    (note,) = kind.__metadata__
    example = note.extra[ALLOWED].rpartition("for example ")[2]
    assert re.fullmatch(note.pattern, example)


def test_a_key_like_no_other_is_answered_without_a_guess(tmp_path: Path) -> None:
    assert "did you mean" not in refused(written(tmp_path, "quux = 1\n"))


def test_a_wrong_value_has_its_line_too(tmp_path: Path) -> None:
    assert "line 2: detector.threads: " in refused(written(tmp_path, "[detector]\nthreads = -1\n"))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("prior=posed", "write one of natural, uniform"),
        ("prior={neutral=2}", "classifier.prior"),
        ("prior={neutral=0.7, anger=0.7}", "classifier.prior: the shares sum to 1.4"),
        ("prior={}", "classifier.prior: it names no label"),
        ("prior=1", "classifier.prior"),
        ("prior_strength=1.5", "classifier.prior_strength"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(setting: str, words: str) -> None:
    assert words in refused(None, f"classifier.{setting}")


def test_a_prior_is_a_name_or_a_table() -> None:
    for written_as, prior in (("uniform", "uniform"), ("{anger=0.5}", {"anger": 0.5})):
        settings = [f"classifier.prior={written_as}", "classifier.prior_strength=0.5"]
        assert load(None, settings).classifier.prior == prior
    assert load(None, ["classifier.prior.anger=0.5"]).classifier.prior == {"anger": 0.5}


def test_what_was_set_on_the_command_line_is_blamed_and_no_line_of_the_file(
    tmp_path: Path,
) -> None:
    said = refused(written(tmp_path, "[detector]\nthreads = 1\n"), "detector.threds=2")
    assert "line" not in said
    assert "(--set detector.threds=2)" in said
    assert "did you mean `threads`?" in said


def test_a_section_that_only_a_setting_names_is_blamed_on_it(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "[detector]\nthreads = 1\n"), "detectr.threads=2")
    assert said.endswith("did you mean `detector`? (--set detectr.threads=2)")
    both = refused(written(tmp_path, "[detectr]\nthreads = 1\n"), "detectr.score=0.2")
    assert "line 1: " in both
    assert "--set" not in both


def test_nan_is_named_as_such(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "[live]\nmax_age_ms = nan\n"))
    assert "line 2: live.max_age_ms: nan is not a number: expected `float` > 0.0" in said
    said = refused(written(tmp_path, "[classifier]\nprior = {neutral = nan}\n"))
    assert "line 2: classifier.prior: nan is not a number" in said


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "detector:\n  backend: haar\n", "is YAML"),
        ("a.toml", "# comment\n---\ndetector: {}\n", "is YAML"),
        ("a.yaml", "- not = toml\n", "is YAML"),
        ("a.yml", "detector: {backend: haar}\n", "is YAML"),
        ("a.toml", '{"detector": {"backend": "haar"}}\n', "is JSON"),
        ("a.toml", "[detector\n", "is not valid TOML"),
        ("a.toml", f"a = {'9' * 5000}\n", "is not valid TOML"),
        ("a.toml", f"a = {'[' * 5000}{']' * 5000}\n", "is nested too deeply"),
        ("a.toml", f"a = {'{b=' * 5000}1{'}' * 5000}\n", "is nested too deeply"),
    ],
    ids=lambda value: value[:12],
)
def test_another_format_is_recognized(name: str, text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text, name)
    assert refused(path).startswith(f"{path}: {said}")


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf[detector]\r\nthreads = 2\r\n")
    assert load(path).detector.threads == 2


def test_a_setting_may_be_nested_too_deeply_as_well() -> None:
    assert "is nested too deeply" in refused(None, f"detector.threads={'[' * 5000}")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("capture.bind=tcp://127.0.0.1:65536", "is above the highest port"),
        ("display.page=127.0.0.1:99999", "is above the highest port"),
        ('connect.frame=["tcp://127.0.0.1:70000"]', "is above the highest port"),
        ('display.watch=["host:123456"]', "is above the highest port"),
        ('connect.frame=["tcp://*:5551"]', "to connect to"),
        ('connect.frame=["tcp://127.0.0.1:*"]', "to connect to"),
        ('relay.connect=["tcp://127.0.0.1:*"]', "to connect to"),
        ('relay.connect=["tcp://127.0.0.1:5563"]', "is the relay's own"),
        ('relay.connect=["tcp://localhost:5563"]', "is the relay's own"),
        ('relay.connect=["tcp://gpu:1", "tcp://gpu:1"]', "is listed twice"),
        ("relay.connect=[]", "relay.connect"),
        ("recorder.metrics=a b:1", "is not an address"),
        (f"capture.bind=ipc:///tmp/{'x' * 120}", "longer than 107 bytes"),
        ("capture.sources=[{url='gopher://h/x'}]", "unknown scheme; write one of http"),
        ("capture.sources=[{url='rstp://h/x'}]", "unknown scheme"),
        ("capture.sources=[{url='rtsp://u:${}@h'}]", "write ${NAME}"),
        ("capture.sources=[{url='rtsp://u:${CAM-1}@h'}]", "write ${NAME}"),
        ("capture.sources=[{url='demo', password_file='x'}]", "has no user"),
        ("live.max_age_ms=inf", "live.max_age_ms"),
        ("live.max_age_ms=nan", "live.max_age_ms"),
        ("lossless.stall_timeout=inf", "lossless.stall_timeout"),
        ("classifier.smoothing=inf", "classifier.smoothing"),
        ("detector.leave_after=nan", "detector.leave_after"),
        ("detector.threads=100000", "detector.threads"),
        ("live.max_message_mb=0", "live.max_message_mb"),
        ("live.'max\nmb'=1", r"max\nmb"),
        ("\x1b[2J=1", r"\x1b[2J"),
        (
            "capture.sources=[{width=16384, height=16384}]",
            "takes 806 MB, more than live.max_message_mb = 256; set it to 806",
        ),
        ("live.max_streams=0", "live.max_streams"),
        (
            "capture.sources=[" + ",".join(f"{{name='c{n}'}}" for n in range(257)) + "]",
            "live.max_streams: 256 is less than the 257 sources",
        ),
        ("capture.sources=[{width=-1}]", "width"),
        ("capture.sources=[{sample=inf}]", "sample"),
        ("recorder.max_gb=inf", "recorder.max_gb"),
        ("display.max_fps=0", "display.max_fps"),
    ],
)
def test_what_no_start_could_use_is_refused(setting: str, said: str) -> None:
    assert said in refused(None, setting)


def test_no_number_of_the_configuration_may_be_infinite() -> None:
    for section in ("live", "lossless", "detector", "classifier", "recorder", "display"):
        for key, value in vars_of(section).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert f"{section}.{key}" in refused(None, f"{section}.{key}=inf")


def test_a_setting_of_an_earlier_version_names_its_replacement(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "insecure = true\n"))
    assert 'line 1: insecure: no longer exists; write mode = "disabled" in [security]' in said


def vars_of(section: str) -> dict[str, object]:
    """Return the keys of a section with their defaults."""
    settings = getattr(load(None), section)
    return {key: getattr(settings, key) for key in settings.__struct_fields__}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[detector]\nbind = "tcp://127.0.0.1:5553"\n', 2),
        ('[classifier]\nmetrics = "127.0.0.1:5551"\n', 2),
        ('[capture]\nbind = "tcp://127.0.0.1:8080"\n', 2),
        ('[security]\nmode = "disabled"\n[recorder]\nbind = "tcp://0.0.0.0:9101"\n', 4),
    ],
)
def test_two_addresses_on_one_port_are_refused(text: str, line: int, tmp_path: Path) -> None:
    said = refused(written(tmp_path, text))
    assert f"line {line}: " in said
    assert "has the port of" in said


def test_one_port_of_two_hosts_and_ports_that_the_system_chooses_are_two() -> None:
    free = ["capture.metrics=127.0.0.1:0", "detector.metrics=127.0.0.1:0"]
    load(None, [*free, "classifier.bind=tcp://127.0.0.2:5551", "capture.bind=tcp://127.0.0.1:*"])


def sources(count: int) -> str:
    return "".join(
        f'[[capture.sources]]\nname = "c{n}"\nurl = "rtsp://10.0.0.1/{n}"\n' for n in range(count)
    )


def test_thousands_of_sources_are_checked_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, f"live.max_streams = {SOURCES}\n{sources(SOURCES)}")
    words = [sys.executable, "-m", "emostream", "capture", "--check-config", "--config", str(path)]
    before = os.times()
    subprocess.run(words, check=True, timeout=60)
    after = os.times()
    # The whole process, with the start of Python.
    assert after.children_user - before.children_user < 3


def test_the_last_of_thousands_of_sources_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, f'{sources(SOURCES)}[[capture.sources]]\nname = "c7"\n')
    said = refused(path)
    assert said.startswith(f"{path}: line {3 * SOURCES + 2}: ")
    assert "two sources are named c7" in said


@pytest.mark.parametrize(
    "value",
    [
        f"[{{url='rtsp://user:{PASSWORD}@host/1'}}]",
        f"[{{name='a'}}, {{name='b', url='http://host/v?user=me&pwd={PASSWORD}'}}]",
        f"rtsp://user:{PASSWORD}@host/1",
        f"[{{url='rtsp://${{USER}}:{PASSWORD}@host'}}]",
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["capture", "--set", f"capture.sources={value}"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "${NAME}" in said
    assert "password_file" in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "url", ["rtsp://user:${CAM1}@host", "rtsp://user@host", "http://h/v?token=${T}", "a:b@c.mp4"]
)
def test_a_url_without_a_literal_password_may_be_set(url: str) -> None:
    (source,) = load(None, [f"capture.sources=[{{url='{url}'}}]"]).capture.sources
    assert source.url == url


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("[tcp://127.0.0.1:5753]", "the shell removed its quotes"),
        ("tcp://127.0.0.1:5753", 'write it as a list: ["tcp://127.0.0.1:5753"]'),
    ],
)
def test_a_text_in_place_of_a_list_is_refused_with_how_to_write_it(value: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"; {advice}")):
        load(None, [f"classifier.standbys={value}"])
