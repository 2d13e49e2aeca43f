"""The TOML next to a model, and how faces are brought to what it says."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emostream.models import preprocessing, spec
from emostream.models.classifier import Classifier
from emostream.models.engines import Shape
from emostream.models.engines.device import Device
from emostream.models.prior import choose_reweighting
from emostream.models.spec_shares import write_shares
from emostream.shared.errors import ModelError, WeightsError

ROOT = Path(__file__).parents[2]
GOOD = 'labels = ["yes", "no"]\nscaling = "0..1"\n'
SHARES = GOOD + "trained = {yes = 0.5, no = 0.5}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "model.toml"
    path.write_text(text, "utf-8")
    return path


def told(**keys: Any) -> spec.ModelSpec:
    return spec.ModelSpec(**{"labels": ("yes", "no"), "scaling": "0..1", **keys})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "labels"),
        ('labels = ["yes", "no"]', "scaling"),
        (GOOD + "sise = [48, 48]", "sise"),
        (GOOD + "size = [48]", "size: "),
        (GOOD + "size = [0, 48]", "size"),
        (GOOD + "channels = 2", "channels: "),
        (GOOD + 'layout = "hw"', "layout: "),
        (GOOD + 'layout = "nhw"\nchannels = 3', "layout"),
        (GOOD + "mean = [0.5]", "mean and std: write 0 numbers"),
        (GOOD.replace("0..1", "mean-std"), "mean and std: write 1 numbers"),
        (GOOD.replace("0..1", "mean-std") + "mean = [0.5]\nstd = [0]", "std"),
        (GOOD.replace("no", "yes"), "labels: one is listed twice"),
        (GOOD.replace('"no"', '""'), "labels"),
        (GOOD.replace(', "no"', ""), "labels"),
        ("labels = [", "is not valid TOML"),
        (
            GOOD + "trained = {yes = 0.5}",
            "trained: write one share for each label and no others (no)",
        ),
        (GOOD + "trained = {yes = 0.5, no = 0.4, so = 0.1}", "(so)"),
        (GOOD + "trained = {yes = 0.5, no = 0.6}", "trained: the shares sum to 1.1, not to 1"),
        (GOOD + "trained = {yes = 1, no = 0}", "trained"),
        (GOOD + "trained = {yes = nan, no = 0.4}", "trained"),
        (GOOD + 'trained = {yes = 0.5, no = "0.5"}', "trained"),
        (GOOD + "natural = {yes = 0.5, no = 0.5}", "trained: write the labels' shares"),
        (GOOD + 'prior = "uniform"', "trained: write the labels' shares"),
        (GOOD + 'prior = "posed"', "prior"),
        (GOOD.replace("yes", " yes", 1), "labels[0]: write a label without spaces around it"),
        (SHARES + "natural = {yes = 0.5, no = 0.6}", "natural: the shares sum to 1.1"),
        (SHARES + "prior = {yes = 0.9, no = 0.9}", "prior: the shares sum to 1.8"),
        (SHARES + 'prior = "uniform"\nprior_strength = 2', "prior_strength"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(WeightsError, match=re.escape(words)) as caught:
        spec.load_spec(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_shipped_toml_says_what_the_nets_of_this_repository_take() -> None:
    shipped = spec.load_spec(ROOT / "models" / "weights" / "alexnet-fer.toml")
    plain = msgspec.structs.replace(
        shipped, card="", trained={}, natural={}, prior=None, prior_strength=1.0
    )
    assert plain == spec.ALEXNET
    assert (ROOT / "models" / "weights" / shipped.card).resolve() == ROOT / "models" / "CARD.md"


def test_the_page_on_models_names_every_key() -> None:
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    table = page.split("## The TOML file\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert rows == [field.name for field in msgspec.structs.fields(spec.ModelSpec)]


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ({"scaling": "model"}, [0, 51, 255]),
        ({"scaling": "0..1"}, [0, 0.2, 1]),
        ({"scaling": "-1..1"}, [-1, -0.6, 1]),
        ({"scaling": "mean-std", "mean": (0.2,), "std": (0.5,)}, [-0.4, 0, 1.6]),
        ({"scaling": "standardise"}, [-0.926, -0.463, 1.389]),
    ],
)
def test_faces_are_scaled(scaling: dict[str, Any], expected: list[float]) -> None:
    faces = np.array([[[0, 51, 255]]], np.uint8)
    given = preprocessing.preprocess(faces, told(**scaling), np.dtype(np.float32))
    assert given.shape == (1, 1, 3, 1)
    assert given.dtype == np.float32
    assert given.ravel() == pytest.approx(np.array(expected), abs=2e-3)


def test_a_face_of_one_color_standardizes_to_zeros() -> None:
    faces = np.full((2, 4, 4), 90, np.uint8)
    given = preprocessing.preprocess(faces, told(scaling="standardise"), np.dtype(np.float32))
    assert not given.any()


@pytest.mark.parametrize(
    ("layout", "channels", "shape"),
    [
        ("nhw", 1, (2, 4, 5)),
        ("nhwc", 1, (2, 4, 5, 1)),
        ("nchw", 1, (2, 1, 4, 5)),
        ("nhwc", 3, (2, 4, 5, 3)),
        ("nchw", 3, (2, 3, 4, 5)),
    ],
)
def test_faces_are_laid_out(layout: str, channels: int, shape: Shape) -> None:
    faces = np.zeros((2, 6, 7) if channels == 1 else (2, 6, 7, 3), np.uint8)
    made = told(layout=layout, channels=channels, size=(4, 5))
    assert preprocessing.preprocess(faces, made, np.dtype(np.float32)).shape == shape
    assert made.shape[1:] == shape[1:]


@pytest.mark.parametrize(("colour", "expected"), [("rgb", [30, 20, 10]), ("bgr", [10, 20, 30])])
def test_colors_come_in_the_order_asked_for(colour: str, expected: list[int]) -> None:
    blue, green, red = np.full((3, 1, 2, 2), [[[[10]]], [[[20]]], [[[30]]]], np.uint8)
    faces = np.stack([blue, green, red], axis=-1)
    made = told(scaling="model", channels=3, colour=colour)
    assert preprocessing.preprocess(faces, made, np.dtype(np.uint8))[0, 0, 0].tolist() == expected


def test_shrinking_does_not_alias_and_growing_is_smooth() -> None:
    stripes = np.zeros((144, 144), np.uint8)
    stripes[:, ::3] = 255
    assert (preprocessing.resize(stripes, 48, 48) == 85).all()
    edge = np.zeros((4, 4), np.uint8)
    edge[:, 2:] = 240
    assert len(np.unique(preprocessing.resize(edge, 8, 16)[0])) > 4
    assert (preprocessing.resize(stripes, 200, 48) == 85).all()


def test_shares_are_written_into_a_toml_whose_other_lines_stay(tmp_path: Path) -> None:
    before = f"# mine\n{GOOD}\n# old\n[natural]\nyes = 0.1\nno = 0.9\n"
    path = write(tmp_path, before.replace('"no"', '"not so"'))
    for trained in ({"yes": 0.25, "not so": 0.75}, {"yes": 0.5, "not so": 0.5}):
        write_shares(path, trained, {"yes": 0.8, "not so": 0.2})
        assert spec.load_spec(path).trained == trained
        assert spec.load_spec(path).natural == {"yes": 0.8, "not so": 0.2}
    text = path.read_text("utf-8")
    assert text.startswith("# mine\nlabels = ")
    assert text.count("[trained]") == text.count("[natural]") == 1
    assert "# old" not in text


def test_a_model_whose_logits_were_not_announced_is_refused_with_a_prior_too() -> None:
    made = told(size=(8, 8), channels=3, trained={"yes": 0.5, "no": 0.5})
    prior = choose_reweighting(made, "toy", "uniform")
    with pytest.raises(WeightsError, match='output = "logits"'):
        Classifier(Toy([1.0, 3.0]), "toy", made, prior=prior).check()


class Toy:
    """An engine that answers each face with fixed rows and keeps what it was given."""

    name, sizes, failures = "toy", (), (RuntimeError,)
    device: Device = "cpu"
    runtime = "NumPy"

    def __init__(self, row: list[float], shape: Shape = (None, 8, 8, 3)) -> None:
        self.row, self.shape = row, shape
        self.dtype, self.outputs = np.dtype(np.float32), None
        self.given: list[np.ndarray] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.given.append(batch)
        return np.tile(np.array(self.row, np.float32), (len(batch), 1))


def test_gray_faces_serve_a_model_that_takes_color() -> None:
    toy = Toy([0.25, 0.75])
    model = Classifier(toy, "toy", told(size=(8, 8), channels=3))
    assert model.predict(np.full((2, 9, 9), 255, np.uint8)).tolist() == [[0.25, 0.75]] * 2
    assert toy.given[0].shape == (2, 8, 8, 3)
    model.predict([np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9), np.uint8)])
    assert sum(map(len, toy.given[1:])) == 2


def test_logits_become_probabilities() -> None:
    model = Classifier(Toy([1.0, 3.0]), "toy", told(size=(8, 8), channels=3, output="logits"))
    model.check()
    given = model.predict(np.zeros((1, 8, 8), np.uint8))[0]
    assert given == pytest.approx([1 / (1 + np.e**2), np.e**2 / (1 + np.e**2)])


def test_logits_that_were_not_announced_are_refused() -> None:
    model = Classifier(Toy([1.0, 3.0]), "toy", told(size=(8, 8), channels=3))
    with pytest.raises(WeightsError, match='output = "logits"'):
        model.check()


def test_another_number_of_outputs_than_labels_is_refused() -> None:
    model = Classifier(Toy([0.2, 0.3, 0.5]), "toy", told(size=(8, 8), channels=3))
    with pytest.raises(ModelError, match=r"gives \(1, 3\), not 2 a face"):
        model.predict(np.zeros((1, 8, 8), np.uint8))


def test_a_model_of_a_fixed_batch_is_given_that_many() -> None:
    toy = Toy([0.5, 0.5], (4, 8, 8, 1))
    model = Classifier(toy, "toy", told(size=(8, 8)))
    assert len(model.predict(np.zeros((9, 8, 8), np.uint8))) == 9
    assert [len(batch) for batch in toy.given] == [4, 4, 4]
