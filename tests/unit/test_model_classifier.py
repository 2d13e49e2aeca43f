"""The classifier's contract: what it takes, what it gives, what it refuses."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from emostream import models
from emostream.models import ferplus, weights
from emostream.models.classifier import MAX_BATCH, Classifier, padded_sizes
from emostream.models.engines import GPU_SIZES, Sizes
from emostream.models.evaluation import evaluator
from emostream.shared.errors import ModelError, WeightsError

FER = Path(__file__).parents[2] / ferplus.FOLDER


@pytest.fixture(scope="module", params=weights.files("alexnet-fer"))
def classifier(request: pytest.FixtureRequest) -> Classifier:
    """The shipped model, in each engine that it has a file for."""
    return models.load(engine=request.param)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    "shape",
    [
        (0, 64, 64),
        (1, 64, 64),
        (5, 48, 48),
        (33, 64, 64),
        (3, 31, 90),
        (2, 1, 1),
        (2, 3, 3),
        (2, 300, 200),
        (2, 64, 64, 1),
        (2, 64, 64, 3),
        (2, 64, 64, 4),
        (0, 64, 64, 3),
    ],
)
def test_any_number_size_and_channels_give_probabilities(
    classifier: Classifier, shape: tuple[int, ...]
) -> None:
    given = classifier.predict(noise(*shape))
    assert given.shape == (shape[0], 8)
    assert given.dtype == np.float32
    assert (given >= 0).all()
    assert given.sum(axis=1) == pytest.approx(np.ones(shape[0]), abs=1e-5)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_face_of_one_color_gives_probabilities(classifier: Classifier, value: int) -> None:
    given = classifier.predict(np.full((1, 64, 64), value, np.uint8))
    assert np.isfinite(given).all()
    assert given.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("faces", "words"),
    [
        (np.zeros((2, 64, 64), np.float32), "float32"),
        (np.zeros((2, 64, 64), np.int64), "int64"),
        (np.zeros((64, 64), np.uint8), r"face\[None\]"),
        (np.zeros((64, 80, 3), np.uint8), r"face\[None\]"),
        (np.zeros((2, 64, 64, 2), np.uint8), "shape"),
        (np.zeros((2, 2, 64, 64, 3), np.uint8), "shape"),
        (np.zeros((2, 0, 64), np.uint8), "no pixels"),
        ([np.zeros((0, 64), np.uint8)], "no pixels"),
        ("face", "uint8"),
    ],
)
def test_what_is_no_batch_of_faces_is_refused(
    classifier: Classifier, faces: np.ndarray, words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        classifier.predict(faces)
    assert "\n" not in str(caught.value)


def test_what_the_engine_fails_on_is_one_line() -> None:
    class Failing:
        name, shape, dtype, outputs = "toy", (None, None, None), np.dtype(np.uint8), 8
        sizes, failures, device, runtime = (1,), (RuntimeError,), "cpu", "none"

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("no memory\nat line 7")

    with pytest.raises(ModelError, match=r"model broken failed: no memory$"):
        Classifier(Failing(), "broken").predict(noise(1, 8, 8))


def test_a_face_gets_the_same_answer_in_any_batch(classifier: Classifier) -> None:
    faces = noise(MAX_BATCH + 5, 64, 64)
    together = classifier.predict(faces)
    for index in (0, 7, len(faces) - 1):
        alone = classifier.predict(faces[index : index + 1])
        assert together[index : index + 1] == pytest.approx(alone, abs=1e-5)


def test_faces_of_different_sizes_come_back_in_order(classifier: Classifier) -> None:
    faces = [noise(64, 64), noise(40, 50, 3), noise(64, 64) // 2, noise(1, 1)]
    given = classifier.predict(faces)
    for face, row in zip(faces, given, strict=True):
        assert row[None] == pytest.approx(classifier.predict(face[None]), abs=1e-5)


def test_color_is_read_as_bgr(classifier: Classifier) -> None:
    colour = noise(2, 64, 64, 3)
    gray = np.stack([cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in colour])
    assert classifier.predict(colour) == pytest.approx(classifier.predict(gray), abs=1e-5)


def test_a_loaded_model_says_what_it_is(classifier: Classifier) -> None:
    assert classifier.labels == models.LABELS
    assert len(models.LABELS) == 8
    assert classifier.name == "alexnet-fer"
    path, beside = classifier.files
    assert path == weights.files("alexnet-fer")[classifier.engine]
    assert beside.name == "alexnet-fer.toml"
    assert classifier.sha256 == weights.sha256(classifier.files[0])


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="alexnet-fer"):
        models.load("resnet")


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.keras"):
        models.load(tmp_path / "none.keras")


def test_corrupt_weights_are_refused(tmp_path: Path) -> None:
    shipped = weights.find("alexnet-fer", "keras")
    copy = tmp_path / shipped.name
    content = bytearray(shipped.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    weights.checksum_file(copy).write_text(weights.checksum_file(shipped).read_text())
    with pytest.raises(WeightsError, match="sha256"):
        models.load(copy)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.keras"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a saved Keras model") as caught:
        models.load(path)
    assert "\n" not in str(caught.value)


def test_the_shipped_weights_have_the_sha256_that_the_card_says(classifier: Classifier) -> None:
    assert classifier.sha256 in (weights.FOLDER.parent / "CARD.md").read_text("utf-8")


def test_importing_the_package_loads_no_tensorflow() -> None:
    code = "import sys, models, models.alignment; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=weights.FOLDER.parents[1],
    )
    assert done.stdout == "set()\n"


def test_loading_is_quiet_and_sets_threads() -> None:
    code = (
        "import models; models.load(engine='keras', intra_op=1); import tensorflow as tf;"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=weights.FOLDER.parents[1],
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_threads_cannot_change_once_tensorflow_works() -> None:
    models.load(engine="keras").warm_up([1])
    with pytest.raises(ModelError, match="threads"):
        models.load(engine="keras", intra_op=7)


@pytest.mark.evidence
@pytest.mark.skipif(not FER.exists(), reason=f"needs the training data folder {ferplus.FOLDER}")
def test_the_shipped_weights_reach_what_they_promise(classifier: Classifier) -> None:
    scores = evaluator.score_protocols(classifier, ferplus.load_faces("PublicTest", FER))
    assert scores["B"].accuracy >= 0.76
    assert scores["B"].ece <= 0.05


@pytest.mark.parametrize(
    ("sizes", "max_batch", "padded"),
    [
        ((), 256, ()),
        (GPU_SIZES, 1024, (1, 8, 32, 128, 256, 512, 1024)),
        (GPU_SIZES, 200, (1, 8, 32, 128, 200)),
        (GPU_SIZES, 1, (1,)),
        ((1, 2, 4), 32, (1, 2, 4, 32)),
    ],
)
def test_batches_are_padded_to_few_sizes(sizes: Sizes, max_batch: int, padded: Sizes) -> None:
    assert padded_sizes(sizes, max_batch) == padded


def test_an_engine_for_a_gpu_sees_few_sizes() -> None:
    class Counting:
        name, shape, dtype, outputs = "toy", (None, None, None), np.dtype(np.uint8), 8
        sizes, failures, device, runtime = GPU_SIZES, (RuntimeError,), "gpu", "none"
        seen: ClassVar[list[int]] = []

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            self.seen.append(len(batch))
            return np.full((len(batch), 8), 1 / 8, np.float32)

    model = Classifier(Counting(), "toy")
    model.max_batch = 256
    model.warm_up()
    warmed, Counting.seen = set(Counting.seen), []
    for count in (1, 5, 33, 100, 256, 300):
        assert model.predict(noise(count, 8, 8)).shape == (count, 8)
    assert set(Counting.seen) <= warmed, "nothing is compiled once it answers"
    assert Counting.seen == [1, 8, 128, 128, 256, 256, 128]


def test_an_engine_that_takes_any_size_is_not_warmed_up_with_the_largest() -> None:
    """It would keep the memory of that batch, which few streams ever need."""

    class Counting:
        name, shape, dtype, outputs = "toy", (None, None, None), np.dtype(np.uint8), 8
        sizes, failures, device, runtime = (), (RuntimeError,), "cpu", "none"
        seen: ClassVar[list[int]] = []

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            self.seen.append(len(batch))
            return np.full((len(batch), 8), 1 / 8, np.float32)

    model = Classifier(Counting(), "toy")
    model.max_batch = 32
    model.warm_up()
    assert Counting.seen == [1]
    assert model.predict(noise(32, 8, 8)).shape == (32, 8)
