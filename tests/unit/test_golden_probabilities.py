"""The weights that ship give the golden file's probabilities, whatever a CPU computes them with.

XNNPACK picks its kernels by the CPU: with VNNI, it multiplies bytes in another way than without.
No option forces its older kernels, so the second path is LiteRT's own kernels, of which none uses
VNNI.
"""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from emostream.models import weights
from emostream.models.classifier import Classifier
from emostream.models.engines.litert import LiteRTEngine
from emostream.models.spec import load_spec, spec_path
from emostream.models.tensorflow_runtime import without_litert_notice
from tests.golden_faces import MODELS, golden_faces, read_golden

KERNELS = {
    "xnnpack": OpResolverType.BUILTIN,
    "own": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
# The largest difference in a probability. Sums of floats come in another order on another CPU,
# which moves the float weights' by 0.00001. In int8 such a step may round an activation to the
# next of 255 values, which moves them by 0.003.
TOLERANCE = {"alexnet-fer": 1e-4, "alexnet-fer-int8": 0.01}
INT8_TOLERANCE = 0.03  # between int8 and float weights; 0.015 was measured
SAME_LABELS = 0.99  # the share of faces with the same label; all were measured


def predict(name: str, kernels: str) -> NDArray[np.float32]:
    path = weights.FOLDER / f"{name}.tflite"
    with without_litert_notice():
        interpreter = Interpreter(
            str(path), num_threads=1, experimental_op_resolver_type=KERNELS[kernels]
        )
    model = Classifier(LiteRTEngine(interpreter), name, load_spec(spec_path(path)))
    return model.predict(golden_faces())


def same_labels(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


def test_the_golden_file_is_of_these_faces_and_weights() -> None:
    golden = read_golden()
    assert golden["checksum"] == golden_faces().astype(np.int64).sum(), "the faces have changed"
    for name in MODELS:
        digest = weights.sha256(weights.FOLDER / f"{name}.tflite")
        assert golden[f"{name}-sha256"] == digest, "run python -m tests.golden_faces"


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_the_golden_probabilities(name: str, kernels: str) -> None:
    given, golden = predict(name, kernels), read_golden()[name]
    assert np.abs(given - golden).max() <= TOLERANCE[name]
    assert same_labels(given, golden) >= SAME_LABELS


@pytest.mark.parametrize("kernels", KERNELS)
def test_int8_agrees_with_float(kernels: str) -> None:
    exact, int8 = (predict(name, kernels) for name in MODELS)
    assert np.abs(int8 - exact).max() <= INT8_TOLERANCE
    assert same_labels(int8, exact) >= SAME_LABELS


def test_the_golden_faces_show_most_emotions() -> None:
    labels = read_golden()["alexnet-fer"].argmax(axis=1)
    assert len(np.unique(labels)) >= 6
