"""Where an engine computes: what is chosen, and what is said where a GPU is missing."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import pytest

from emostream import models
from emostream.models import engines, weights
from emostream.models.engines import device as devices
from emostream.models.engines import keras_backends
from emostream.models.engines import onnxruntime as onnx_engine
from emostream.models.engines.device import Device, DeviceChoice, choose_device, missing_for_gpu
from emostream.shared import optional_groups
from emostream.shared.errors import ConfigError, MissingPackageError

CUDA, TENSORRT, CPU = (f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "CPU"))
NO_GPU = pytest.mark.skipif(devices.has_gpu(), reason="this host has a GPU")


@pytest.mark.parametrize(
    ("wanted", "missing", "chosen"),
    [
        ("auto", "", "gpu"), ("auto", "no driver", "cpu"), ("gpu", "", "gpu"),
        ("cpu", "", "cpu"), ("cpu", "no driver", "cpu"),
    ],
)  # fmt: skip
def test_the_device_is_what_was_asked_for(wanted: DeviceChoice, missing: str, chosen: str) -> None:
    assert choose_device(wanted, "keras", missing) == chosen


def test_a_gpu_that_is_wanted_and_cannot_be_used_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no GPU for the engine keras .*: no driver$"):
        choose_device("gpu", "keras", "no driver")


@pytest.mark.parametrize(
    ("is_built", "has_gpu", "said"),
    [
        (True, True, ["libraries"]), (False, True, ["build"]), (True, False, ["NVIDIA GPU"]),
        (False, False, ["NVIDIA GPU", "build"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_told(is_built: bool, has_gpu: bool, said: list[str]) -> None:
    found = missing_for_gpu("build", "libraries", is_built=is_built, has_gpu=has_gpu)
    assert [word for word in ("NVIDIA GPU", "build", "libraries") if word in found] == said


@pytest.mark.parametrize(
    ("available", "with_tensorrt", "asked"),
    [
        ([CPU], True, []),
        ([TENSORRT, CUDA, CPU], False, [CUDA]),
        ([TENSORRT, CUDA, CPU], True, [TENSORRT, CUDA]),
        ([CUDA, CPU], True, [CUDA]),
    ],
)
def test_tensorrt_is_asked_for_where_it_was_installed(
    available: Sequence[str], with_tensorrt: bool, asked: list[str]
) -> None:
    assert onnx_engine.gpu_providers(available, with_tensorrt=with_tensorrt) == asked


@pytest.mark.parametrize(
    ("providers", "device", "runtime"),
    [
        ([CPU], "cpu", "ONNX Runtime"), ([CUDA, CPU], "gpu", "CUDA"),
        ([TENSORRT, CUDA, CPU], "gpu", "TensorRT"),
    ],
)  # fmt: skip
def test_the_session_says_what_computes(providers: list[str], device: str, runtime: str) -> None:
    assert onnx_engine.session_device(providers) == (device, runtime)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that gives each face two equal probabilities."""
    helper = pytest.importorskip("onnx.helper")
    folder = tmp_path_factory.mktemp("onnx")
    given = helper.make_tensor_value_info("x", 1, ["n", 8])
    made = helper.make_tensor_value_info("y", 1, ["n", 8])
    node = helper.make_node("Softmax", ["x"], ["y"])
    graph = helper.make_graph([node], "toy", [given], [made])
    opset = helper.make_opsetid("", 13)
    net = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    (folder / "toy.onnx").write_bytes(net.SerializeToString())
    return folder / "toy.onnx"


def test_libraries_that_do_not_load_are_no_gpu(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime itself continues with the CPU, and only prints something."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnx_engine, "has_gpu", lambda: True)
    with pytest.raises(ConfigError, match="CUDA or cuDNN libraries"):
        onnx_engine.load_engine(onnx_file, 1, 1, "gpu")
    assert onnx_engine.load_engine(onnx_file, 1, 1, "auto").device == "cpu"
    assert capfd.readouterr() == ("", "")


def test_a_build_without_cuda_is_named(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(onnx_engine, "has_gpu", lambda: True)
    with pytest.raises(ConfigError, match=r"without CUDA .*onnxruntime-gpu"):
        onnx_engine.load_engine(onnx_file, 1, 1, "gpu")


def test_with_a_gpu_an_engine_is_chosen_that_can_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.find("alexnet-fer", "auto", "gpu").suffix == ".keras"
    assert weights.find("alexnet-fer", "auto", "cpu").suffix == ".tflite"
    monkeypatch.setattr(weights, "is_installed", lambda name: name == "litert")
    assert weights.find("alexnet-fer", "auto", "gpu").suffix == ".keras", "so that it is named"


@NO_GPU
def test_keras_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"engine keras .*no NVIDIA GPU"):
        models.load(device="gpu")
    model = models.load(engine="keras")
    assert (model.device, model.runtime) == ("cpu", "TensorFlow")


@pytest.mark.parametrize(
    ("backend", "kind", "words"),
    [
        ("theano", ConfigError, "KERAS_BACKEND=theano: choose tensorflow, torch, jax"),
        ("torch", MissingPackageError, "KERAS_BACKEND=torch needs torch: pip install torch"),
    ],
)
def test_the_backend_of_keras_is_named_by_its_variable(
    backend: str, kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(optional_groups, "is_installed", lambda name: name != "torch")
    with pytest.raises(kind, match=words):
        engines.require_engine("keras")


@NO_GPU
def test_a_classifier_without_the_gpu_that_it_is_to_have_does_not_start() -> None:
    settings = ("device=gpu", "engine=litert", "model=alexnet-fer", "metrics=127.0.0.1:0",
                "bind=tcp://127.0.0.1:*")  # fmt: skip
    words = [word for each in settings for word in ("--set", f"classifier.{each}")]
    done = subprocess.run(
        [sys.executable, "-m", "emostream", "classifier", *words],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        'error: no GPU for the engine litert (device = "gpu"): it runs on the CPU only:'
        " choose the engine keras or onnxruntime"
    )


@pytest.mark.parametrize(
    ("device", "backend", "name"),
    [
        ("cpu", "tensorflow", "cpu:0"),
        ("cpu", "torch", "cpu"),
        ("gpu", "torch", "gpu:0"),
        ("cpu", "jax", "cpu:0"),
    ],
)
def test_a_device_is_called_as_the_backend_knows_it(
    device: Device, backend: str, name: str
) -> None:
    assert keras_backends.device_name(device, backend) == name
