"""`emostream evaluate`: what it prints and writes, and how it fails."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from emostream import models
from emostream.models import ferplus
from emostream.models.labels import LABELS
from emostream.models.prior import Reweighting
from emostream.models.spec import ModelSpec
from emostream.services.cli.evaluation import command as evaluate
from emostream.services.cli.evaluation import run as evaluate_run
from emostream.services.cli.main import main

FER = Path(__file__).parents[2] / ferplus.FOLDER
needs_data = pytest.mark.skipif(
    not FER.exists(), reason=f"needs the training data folder {ferplus.FOLDER}"
)
pytest.importorskip("jinja2", reason="needs the group `evaluate`")


class Fake:
    """Knows the brightness of a face alone."""

    name, labels, sha256, engine, files = "fake", ("dark", "bright"), "", "none", ()
    spec = ModelSpec(labels=labels, scaling="0..1", trained={"dark": 0.6, "bright": 0.4})
    prior: Reweighting | None = None

    def predict(self, faces: list[np.ndarray] | np.ndarray) -> np.ndarray:
        share = np.array([np.mean(face) / 255 for face in faces])
        return np.stack([1 - share, share], axis=1).astype(np.float32)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Load a fake model, whatever is asked for; return what was asked."""
    asked: dict[str, object] = {}

    def load(name: str, **options: object) -> Fake:
        asked.update(options, name=name)
        return Fake()

    monkeypatch.setattr(models, "load", load)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    levels = np.array([20, 40, 60, 200, 220, 240, 250], np.uint8)
    images = np.repeat(levels, 48 * 48).reshape(-1, 48, 48)
    path = tmp_path / "faces.npz"
    names = np.array(["dark"] * 3 + ["bright"] * 3 + ["odd"])
    np.savez(path, images=images, labels=names)
    return path


def test_a_data_set_with_other_words_is_mapped(
    fake: dict[str, object], archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(archive), "--map", "odd=bright", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["facts"]["faces"] == 7
    assert "--map odd=bright" in report["facts"]["command"]
    assert str(archive) in report["facts"]["command"]


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("odd=glaring", 2, "--map odd=glaring: the model has no such label, but dark, bright"),
        ("even=dark", 1, "has no such class; its classes are bright, dark, odd"),
        ("odd", 2, "'odd' does not look like AN=anger,NE=neutral"),
        ("odd=dark, odd=bright", 2, "odd is listed twice"),
    ],
)
def test_a_wrong_map_is_named(
    given: str,
    code: int,
    says: str,
    fake: dict[str, object],
    archive: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        assert main(["evaluate", str(archive), "--map", given]) == code
    except SystemExit as error:
        assert error.code == code
    assert says in capsys.readouterr().err


def test_tables_page_and_json(
    fake: dict[str, object], archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "any", "--engine", "keras", "--data", str(archive), "--threads", "2"]
    assert main(["evaluate", *words]) == 0
    assert fake == {
        "name": "any", "engine": "keras", "intra_op": 2, "prior": None, "prior_strength": None,
    }  # fmt: skip
    out, err = capsys.readouterr()
    assert "accuracy 100.00%" in out
    assert "left out because the model has no label for them: 1 odd" in out
    assert "mirrored mean" in out
    page, written = (Path(line) for line in out.splitlines()[-2:])
    assert page.read_text("utf-8").startswith("<!doctype html>")
    tree = json.loads(written.read_text("utf-8"))
    assert tree["facts"]["command"] == f"emostream evaluate {' '.join(words)}"
    assert tree["facts"]["faces"] == 6
    assert "judging: 12/12 faces, " in err


def test_json_alone_on_stdout(
    fake: dict[str, object],
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "deep" / "page.html"
    words = ["--data", str(archive), "--json", "-", "--html", str(page), "--robustness"]
    assert main(["evaluate", *words]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["evaluation"]["verdicts"][0]["protocol"] == "labels"
    assert {row["condition"] for row in tree["robustness"]} >= {"blur", "low light"}
    assert page.exists()


def test_priors_are_compared_and_loaded(
    fake: dict[str, object], archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(archive), "--priors", "--prior", "dark=0.3", "--prior-strength", "0.5"]
    assert main(["evaluate", *words]) == 0
    assert fake["prior"] == {"dark": 0.3}
    assert fake["prior_strength"] == 0.5
    out = capsys.readouterr().out
    assert "60% dark" in out
    page, written = (Path(line) for line in out.splitlines()[-2:])
    assert "clear ones" in page.read_text("utf-8")
    compared = json.loads(written.read_text("utf-8"))["priors"]
    assert compared["current"] == "as trained"
    assert {row["prior"] for row in compared["rows"]} >= {
        "as trained", "uniform", "uniform at strength 0.3",
    }  # fmt: skip
    drawn = next(row for row in compared["drawn"] if row["shares"] == "equal")
    assert drawn["accuracy"]["true"] == 1


@pytest.mark.parametrize(
    "words", [["--prior", "posed"], ["--prior", "estimate"], ["--prior", "dark=2"]]
)
def test_no_such_prior(
    fake: dict[str, object], archive: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(archive), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_priors_of_a_model_without_shares_are_refused_before_the_work(
    fake: dict[str, object],
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Fake, "spec", ModelSpec(labels=Fake.labels, scaling="0..1"))
    assert main(["evaluate", "--data", str(archive), "--priors"]) == 2
    assert "model fake does not state the shares" in capsys.readouterr().err


def test_a_side_and_a_number_of_faces(
    fake: dict[str, object], archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(archive), "--side", "64", "--faces", "4", "--json", "-"]
    assert main(["evaluate", *words]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["faces"] == 4


def test_faces_in_scenes_go_through_detector_and_alignment(
    fake: dict[str, object], archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blank faces are none: the detector finds nothing, and the report says so."""
    words = [
        "--data",
        str(archive),
        "--scenes",
        "--tiles",
        "0",
        "--video-faces",
        "0",
        "--json",
        "-",
    ]
    assert main(["evaluate", *words]) == 0
    (scene,) = json.loads(capsys.readouterr().out)["scenes"]
    assert scene["recall"]["faces"] == 6
    assert scene["recall"]["share"] == 0
    assert scene["lost"] is None


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--data", "absent"], 1, "error: no faces in absent: give a folder"),
        (["--data", "."], 1, "error: no faces in ."),
        (["--data", "absent", "--unseen"], 1, "error: no training faces in absent"),
        (["--history", "absent.csv"], 1, "error: absent.csv is not a training history"),
        (["--html", "faces.npz/page.html"], 1, "error: faces.npz/page.html cannot be written"),
        (["--scenes", "--backend", "yunet", "--weights", "no.onnx"], 3, "error: no YuNet weights"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    fake: dict[str, object],
    archive: Path,
    words: list[str],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = words if "--data" in words else [*words, "--data", archive.name]
    (archive.parent / "empty").mkdir()
    if words == ["--data", "."]:
        archive.unlink()
    assert main(["evaluate", *given]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert lines[0].startswith(says)


@pytest.mark.parametrize(
    "words",
    [
        ["--faces", "0"],
        ["--split", "PrivateTest"],
        ["--side", "x"],
        ["--tiles", "-1"],
        ["--score", "1.5"],
        ["--score", "nan"],
    ],
)
def test_options_that_make_no_sense_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", *words])


def test_a_missing_package_is_said_before_the_work(
    fake: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["evaluate"]) == 2
    assert "pip install 'emostream[evaluate]'" in capsys.readouterr().err
    assert not fake


def test_the_faces_are_where_the_models_look_for_them() -> None:
    assert evaluate.FER == ferplus.FOLDER


@needs_data
def test_the_shipped_model_on_real_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--html", str(tmp_path / "page.html"), "--json", str(tmp_path / "data.json")]
    options = ["--data", str(FER), "--faces", "24", "--scenes", "--video-faces", "0", *files]
    assert main(["evaluate", *options]) == 0
    out = capsys.readouterr().out
    assert "Protocol A" in out
    assert "Protocol B" in out
    tree = json.loads((tmp_path / "data.json").read_text("utf-8"))
    assert tree["facts"]["labels"] == list(LABELS)
    assert tree["facts"]["parameters"] > 1_000_000
    b = tree["evaluation"]["verdicts"][1]["single"]
    assert b["accuracy"] > 0.6
    assert tree["scenes"][0]["recall"]["share"] > 0.5
    assert tree["scenes"][0]["aligned"]["share"] > 0.5


@needs_data
def test_unseen_leaves_out_copies_of_training_faces() -> None:
    given = {"unseen": True, "split": "PublicTest", "data": FER, "map": {}}
    options = argparse.Namespace(**given, faces=None, side=None, seed=0)
    dataset = evaluate_run.choose_dataset(options, LABELS)
    assert len(dataset) == 3579 - 279
