"""`emostream init` for two hosts: the folders, and who is let in for what."""

import stat
from pathlib import Path

import pytest

from emostream.services.cli.main import main
from emostream.shared.config import Config, load
from emostream.shared.key_files import KeyFolder
from emostream.shared.security import check_stage_keys
from tests.conftest import TESTS

WORDS = ("--camera-host", "10.0.0.1", "--classifier-host", "10.0.0.2")
CAMERA_STAGES = ["capture", "detector", "recorder", "display"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "both", *WORDS]) == 0
    return tmp_path / "both"


def stages(folder: Path) -> list[str]:
    lines = (folder / "Procfile").read_text().splitlines()
    return [line.partition(":")[0] for line in lines]


def test_each_host_has_its_stages_and_the_same_addresses(folder: Path) -> None:
    assert stages(folder / "cameras") == CAMERA_STAGES
    assert stages(folder / "classifier") == ["classifier"]
    configs = [load(folder / host / "emostream.toml") for host in ("cameras", "classifier")]
    assert configs[0] == configs[1] != Config()
    assert configs[0].connect.faces == ("tcp://10.0.0.1:5552",) == (configs[0].detector.bind,)
    assert configs[0].connect.emotion == ("tcp://10.0.0.2:5553",) == (configs[0].classifier.bind,)


def test_each_host_has_the_keys_that_its_stages_need(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("cameras", "classifier"):
        monkeypatch.chdir(folder / host)
        config = load(Path("emostream.toml"))
        for stage in stages(folder / host):
            check_stage_keys(config, stage)
        for file in Path("keys").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_classifiers_host_gets_no_frames_and_the_other_no_crops(folder: Path) -> None:
    (classifier,) = KeyFolder(str(folder / "cameras" / "keys")).peers()
    (cameras,) = KeyFolder(str(folder / "classifier" / "keys")).peers()
    assert (classifier.host, classifier.topics) == ("10.0.0.2", ("faces",))
    assert (cameras.host, cameras.topics) == ("10.0.0.1", ("emotion", "event"))
    for here, peer in (("cameras", cameras), ("classifier", classifier)):
        own = KeyFolder(str(folder / here / "keys")).own()
        assert [key.public for key in peer.keys] == [key.public for key in own.keys]


def test_what_is_next_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "more", *WORDS]) == 0
    said = capsys.readouterr().out
    assert "remove more/classifier here" in said
    for line in ("scp -r more/classifier 10.0.0.2:", "cd classifier && honcho start"):
        assert line in said
    page = (TESTS.parent / "docs" / "remote-gpu.md").read_text("utf-8")
    assert f"emostream init two-hosts {' '.join(WORDS)}\n" in page


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (WORDS[:2], "give both"),
        (WORDS[2:], "give both"),
        (("--camera-host", "10.0.0.1", "--classifier-host", "10.0.0.1"), "cannot be both hosts"),
        (WORDS, "classifier/keys exists: nothing was written"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "classifier" / "keys").mkdir(parents=True)
    assert main(["init", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["classifier"]


def test_a_host_is_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["init", "--camera-host", "cameras.example", *WORDS[2:]])
    assert ended.value.code == 2
    assert "--camera-host" in capsys.readouterr().err
