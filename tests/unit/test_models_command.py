"""`emostream models`: list, info, verify and export."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from emostream.models import weights
from emostream.services.cli.main import main
from emostream.services.cli.model_files import view as models_view
from emostream.shared.errors import ExitCode, WeightsError
from tests.terminal import printed

# Keras saves, and TensorFlow converts, through interfaces that NumPy and they call outdated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with a single one, `toy`."""
    import keras
    from keras import layers

    folder = tmp_path / "weights"
    folder.mkdir()
    faces = keras.Input((None, None), dtype="uint8", name="faces")
    x = keras.ops.mean(keras.ops.cast(faces, "float32"), axis=(1, 2))
    x = layers.Dense(2, activation="softmax")(keras.ops.expand_dims(x / 255, -1))
    weights.save(keras.Model(faces, x), folder / "toy.keras")
    text = 'labels = ["dark", "bright"]\nscaling = "model"\nlayout = "nhw"\n'
    (folder / "toy.toml").write_text(text, "utf-8")
    monkeypatch.setattr(weights, "FOLDER", folder)
    monkeypatch.setenv("COLUMNS", "200")
    return folder


def test_list_shows_each_model_with_its_engines(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "toy" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "toy",
        "keras",
        "2",
        "0.0",
        "good",
    ]
    (shipped / "toy.keras").write_bytes(b"other")
    assert main(["models", "list"]) == 0
    assert "wrong" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["toy", "toy.keras"])
def test_info_says_what_a_model_is(
    shipped: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    name = given if given == "toy" else str(shipped / given)
    assert main(["models", "info", name]) == 0
    out = capsys.readouterr().out
    pairs = (line.split("  ", 1) for line in out.splitlines())
    rows = {name: value.strip() for name, value in pairs}
    assert rows["labels"] == "dark, bright"
    assert rows["takes"].startswith("faces of any size, gray")
    assert rows["parameters"] == "4"
    assert rows["engine"] == "keras"
    assert rows["sha256"] == weights.sha256(shipped / "toy.keras")
    assert "card" not in rows


def test_info_of_the_shipped_model_names_its_parameters_and_card() -> None:
    path = weights.files("alexnet-fer")["keras"]
    count = models_view.parameters(path)
    assert count is not None
    assert count > 3_000_000
    shown, failure = models_view.description("alexnet-fer")
    assert failure is None
    assert "card" in list(shown.columns[0].cells)
    assert any(
        str(cell).startswith("uniform at strength 0.3: neutral 24.5%")
        for cell in shown.columns[1].cells
    )
    assert "…" not in printed(shown, width=40)


def test_info_says_whether_a_model_loads(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "toy"]) == 0
    assert re.search("^loads +yes *$", capsys.readouterr().out, re.MULTILINE)
    toml = shipped / "toy.toml"
    toml.write_text(toml.read_text("utf-8").replace('"bright"', '"gray", "bright"'), "utf-8")
    assert main(["models", "info", "toy"]) == ExitCode.UNAVAILABLE
    given = capsys.readouterr()
    assert re.search("^loads +no *$", given.out, re.MULTILINE)
    assert "parameters" in given.out
    assert "toy.keras has 2 outputs, its TOML 3 labels: name 2 in toy.toml" in given.err
    assert given.err.count("\n") == 1


def test_list_and_verify_say_that_a_whole_file_does_not_load(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shipped / "toy.toml").write_text('labels = ["a", "b"]\nscaling = ""\n', "utf-8")
    assert main(["models", "list"]) == 0
    assert "does not load" in capsys.readouterr().out
    assert main(["models", "verify", "toy"]) == ExitCode.UNAVAILABLE
    assert "scaling: Invalid enum value '': write one of" in capsys.readouterr().err


def test_a_file_whose_engine_is_missing_is_compared_alone(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["models", "verify", "toy"]) == 0
    assert "toy.keras: good; not loaded: the engine keras needs" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert "intact, not loaded: the engine keras" in capsys.readouterr().out
    assert main(["models", "info", "toy"]) == ExitCode.USAGE


def test_the_template_of_the_command_makes_a_model_load_once_it_is_filled_in(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my model.keras"
    shutil.copy(shipped / "toy.keras", path)
    path.with_suffix(".toml").touch()  # as the shell does before the command runs
    assert main(["models", "info", str(path)]) == ExitCode.UNAVAILABLE
    command = capsys.readouterr().err.partition("write one with ")[2].rpartition(" and ")[0]
    *words, arrow, toml = shlex.split(command)
    assert (words[0], arrow, toml) == ("emostream", ">", str(path.with_suffix(".toml")))
    assert main(words[1:]) == 0
    text = capsys.readouterr().out
    path.with_suffix(".toml").write_text(text.replace("label_0", "dark"), "utf-8")
    assert main(["models", "info", str(path)]) == 0
    assert "dark, label_1" in capsys.readouterr().out


def test_verify_compares_every_file(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"{shipped / 'toy.keras'}: good\n"
    with (shipped / "toy.keras").open("ab") as file:
        file.write(b"x")
    for words in (["verify"], ["verify", "toy"], ["verify", str(shipped / "toy.keras")]):
        assert main(["models", *words]) == 3
        error = capsys.readouterr().err
        assert "toy.keras is corrupt" in error
        assert error.count("\n") == 1


def test_verify_refuses_a_shipped_file_without_a_sha256(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shipped / "toy.onnx").write_bytes(b"put here by hand")
    assert main(["models", "verify", "toy"]) == 3
    assert "no sha256 of toy.onnx" in capsys.readouterr().err


def test_export_writes_a_file_that_then_serves_by_name(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "export", "toy", "--engine", "litert", "--data", str(tmp_path)]
    assert main(command) == 0
    given = capsys.readouterr()
    assert given.out.startswith(f"{shipped / 'toy.tflite'}: 0.0 MB, largest difference in a prob")
    assert "same label for 100.0% of 500 faces" in given.out
    assert f"no faces in {tmp_path}" in given.err
    assert "converting toy.keras to litert, float16" in given.err
    assert list(weights.files("toy")) == ["litert", "keras"]
    assert weights.find("toy").name == "toy.tflite"
    assert weights.find("toy", "keras").name == "toy.keras"
    assert main(["models", "verify", "toy"]) == 0


def test_auto_takes_the_first_file_whose_engine_is_installed(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(shipped / "toy.keras", shipped / "toy.tflite")
    shutil.copy(shipped / "toy.keras", shipped / "toy.onnx")
    for name in ("toy.tflite", "toy.onnx"):
        weights.write_checksum(shipped / name)
    monkeypatch.setattr(weights, "is_installed", lambda engine: engine != "litert")
    assert weights.find("toy").name == "toy.onnx"
    monkeypatch.setattr(weights, "is_installed", lambda engine: False)
    assert weights.find("toy").name == "toy.tflite"


def test_an_export_without_its_package_says_what_to_install(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["models", "export", "toy", "--engine", "onnxruntime"]) == 2
    assert "pip install 'emostream[keras]'" in capsys.readouterr().err


def test_an_engine_without_its_file_says_how_to_make_it(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.find("toy", "onnxruntime")
    assert "emostream models export toy --engine onnxruntime" in str(caught.value)
