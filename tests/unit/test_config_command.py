"""`emostream config`: the configuration in effect, and where each value comes from."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from emostream.services.cli.given_config import ARGS_VARIABLE, CONFIG_VARIABLE
from emostream.services.cli.main import main
from emostream.shared.config import Config, load
from emostream.shared.shipped_files import CONFIGS, FOLDER_CONFIG, config_names

FILE = """\
blur = true

[capture]
encoding = "jpeg"
[[capture.sources]]
name = "door"
url = "rtsp://viewer:${DOOR}@192.0.2.1/a"
[[capture.sources]]
name = "hall"
url = "rtsp://viewer:hunter2@192.0.2.2/a?x=1"

[detector]
tiles = 4
score = 0.25
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and none of the variables set."""
    monkeypatch.chdir(tmp_path)
    for name in (CONFIG_VARIABLE, ARGS_VARIABLE, "DOOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["config", *words]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def origins(text: str) -> dict[str, str]:
    """Return the origin of each key by its path, of sources with their number."""
    found, table, count = {}, "", -1
    for line in text.splitlines():
        if header := re.fullmatch(r"\[\[?([\w.]+)\]\]?", line):
            table = header[1]
            if table == "capture.sources":
                count += 1
                table = f"{table}.{count}"
        elif pair := re.fullmatch(r"(?:# )?(\w+)(?: =|:) .*?  # (.+)", line):
            found[f"{table}.{pair[1]}".lstrip(".")] = pair[2]
    return found


def test_without_anything_all_are_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--explain")
    assert msgspec.convert(tomllib.loads(text), Config) == Config()
    assert set(origins(text).values()) == {"default"}
    assert "# score: the backend's" in text
    plain = shown(capsys)
    for unset in (
        *("score", "tiles", "tile_every", "extra_looks", "search_every"),
        *("prior", "prior_strength"),
    ):
        plain = plain.replace(f"# {unset}:", "")
    assert "#" not in plain


@pytest.mark.parametrize("name", config_names())
def test_what_is_shown_is_what_the_stages_get(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["--explain"]):
        text = shown(capsys, *words, "--config", name, "--set", "classifier.threads=3")
        given = load(CONFIGS / f"{name}.toml", ["classifier.threads=3"])
        sources = [source.name for source in given.capture.sources]
        config = msgspec.convert(tomllib.loads(text), Config)
        assert [source.name for source in config.capture.sources] == sources
        same = msgspec.structs.replace(given.capture, sources=config.capture.sources)
        assert config == msgspec.structs.replace(given, capture=same)


def test_each_value_says_where_it_was_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "x.toml").write_text(FILE)
    monkeypatch.setenv("DOOR", "a secret")
    monkeypatch.setenv(ARGS_VARIABLE, "--set recorder.video=true --set detector.score=0.3 --window")
    settings = ["--set", "detector.score=0.4", "--set", "classifier.of=2"]
    text = shown(capsys, "--config", "x.toml", "--explain", *settings)
    found = origins(text)
    assert {key: where for key, where in found.items() if where != "default"} == {
        "blur": "x.toml:1",
        "capture.encoding": "x.toml:4",
        "capture.sources.0.name": "x.toml:6",
        "capture.sources.0.url": "x.toml:7, DOOR from the environment",
        "capture.sources.1.name": "x.toml:9",
        "capture.sources.1.url": "x.toml:10",
        "detector.tiles": "x.toml:13",
        "detector.score": "--set",
        "classifier.of": "--set",
        "recorder.video": "$EMOSTREAM_ARGS",
        "display.window": "$EMOSTREAM_ARGS",
    }
    assert "score = 0.4 " in text


def test_no_password_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.toml").write_text(FILE)
    for words in ([], ["--explain"]):
        text = shown(capsys, "--config", "x.toml", *words)
        assert "hunter2" not in text
        assert "${DOOR}@192.0.2.1" in text
    assert "DOOR is not set" in text


def test_a_setting_may_be_a_whole_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.toml").write_text(FILE)
    settings = ["--set", "detector={threads=2}", "--set", "capture.sources=[{url='demo'}]"]
    found = origins(shown(capsys, "--config", "x.toml", "--explain", *settings))
    assert (found["detector.threads"], found["detector.tiles"]) == ("--set", "default")
    assert (found["capture.sources.0.url"], found["capture.sources.0.name"]) == ("--set", "default")
    assert "capture.sources.1.url" not in found


def test_the_file_is_the_one_that_honcho_would_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER_CONFIG).write_text("blur = true\n")
    assert origins(shown(capsys, "--explain"))["blur"] == f"{FOLDER_CONFIG}:1"
    monkeypatch.setenv(CONFIG_VARIABLE, "webcam")
    found = origins(shown(capsys, "--explain"))
    assert found["blur"] == "default"
    assert found["capture.sources.0.url"].startswith(f"{CONFIGS / 'webcam.toml'}:")
    monkeypatch.setenv(ARGS_VARIABLE, "--config default")
    found = origins(shown(capsys, "--explain"))
    assert found["capture.sources.0.url"].startswith(f"{CONFIGS / 'default.toml'}:")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--set", "detector.tiles=many"], "detector.tiles"),
        (["--config", "nothing"], "no such file"),
        (["--set", "capture.sources=[{url='rtsp://a:b@c/d'}]"], "password"),
    ],
)
def test_a_wrong_configuration_gets_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--explain", *words]) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert named in output.err


def test_what_init_writes_is_shown_as_defaults(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 0
    capsys.readouterr()
    found = origins(shown(capsys, "--explain"))
    written = {key for key, where in found.items() if where != "default"}
    assert written == {"capture.sources.0.name", "capture.sources.0.url"}
