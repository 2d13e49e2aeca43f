"""The networks: their layers, sizes and preprocessing, and that a saved one is the same."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    import keras

    from emostream.models import alexnet
else:
    keras = LazyModule("keras")
    alexnet = LazyModule("emostream.models.alexnet")

# Keras 3.15 saves weights through an interface that NumPy 2.4 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ["alexnet-fer", "alexnet-64", "alexnet-227"]
LAYERS = [
    *("conv1", "pool1", "norm1", "relu1"),
    *("conv2", "pool2", "norm2", "relu2"),
    *("conv3", "norm3", "relu3"),
    *("conv4", "norm4", "relu4"),
    *("conv5", "pool5", "norm5", "relu5"),
    *("flatten", "dropout6", "dense6", "norm6", "relu6"),
    *("dropout7", "dense7", "norm7", "relu7"),
    "logits_ferplus",
    "ferplus",
]


@pytest.fixture(scope="module")
def net() -> Any:
    return alexnet.single_head(alexnet.build("alexnet-fer"), "ferplus")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_the_layers_are_those_of_alexnet(name: str) -> None:
    net = alexnet.single_head(alexnet.build(name), "ferplus")
    named = [layer.name for layer in net.layers]
    assert named[named.index("conv1") :] == LAYERS
    assert net.output_shape == (None, 8)
    assert net.inputs[0].dtype == "uint8"


def test_no_net_is_left_out() -> None:
    # Next to the one that other tests add.
    assert alexnet.ARCHITECTURES.keys() - {"tiny"} == set(NAMES)


def flops(net: Any) -> int:
    """Return the floating-point operations of one face: twice the products of all layers."""
    total = 0
    for layer in net.layers:
        if isinstance(layer, keras.layers.Conv2D):
            total += 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total


@pytest.mark.parametrize(
    ("name", "parameters", "features", "gflop"),
    [("alexnet-fer", 3_715_240, 5_760, 0.21), ("alexnet-227", 58_319_592, 9_216, 2.12)],
)
def test_the_sizes_are_as_documented(
    name: str, parameters: int, features: int, gflop: float
) -> None:
    net = alexnet.single_head(alexnet.build(name), "ferplus")
    assert net.count_params() == parameters
    assert flops(net) / 1e9 == pytest.approx(gflop, abs=0.01)
    assert net.get_layer("flatten").output.shape == (None, features)


def test_the_heads_share_all_but_their_last_layer() -> None:
    net = alexnet.build()
    assert {head: output.shape for head, output in net.output.items()} == {
        "ferplus": (None, 8),
        "fer2013": (None, 7),
    }
    one = alexnet.single_head(net, "fer2013")
    assert one.output_shape == (None, 7)
    assert one.get_layer("conv5") is net.get_layer("conv5")


@pytest.mark.parametrize("shape", [(48, 48), (64, 64), (80, 61), (20, 33), (300, 200)])
def test_resampling_is_that_of_an_antialiased_bilinear_resizing(shape: tuple[int, int]) -> None:
    pictures = np.random.default_rng(0).random((2, *shape), np.float32)
    wanted = keras.layers.Resizing(48, 48, antialias=True)(pictures[..., None])[..., 0]
    assert np.array(alexnet.resample(pictures, 48)) == pytest.approx(np.array(wanted), abs=1e-5)


def test_a_saved_net_loads_safely_and_agrees(net: Any, faces: np.ndarray, tmp_path: Path) -> None:
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    assert np.array(loaded(faces)) == pytest.approx(np.array(net(faces)), abs=1e-6)


def test_faces_are_standardised_one_by_one(faces: np.ndarray) -> None:
    given = np.array(alexnet.preprocess(faces, 48))
    assert given.shape == (3, 48, 48, 1)
    assert given.mean(axis=(1, 2, 3)) == pytest.approx(np.zeros(3), abs=1e-4)
    assert given.std(axis=(1, 2, 3)) == pytest.approx(np.ones(3), abs=1e-2)


def test_light_and_contrast_hardly_change_what_the_net_sees(faces: np.ndarray) -> None:
    dim = (faces // 2 + 40).astype(np.uint8)
    seen = np.array(alexnet.preprocess(faces, 48))
    assert np.abs(seen - np.array(alexnet.preprocess(dim, 48))).max() < 0.1


def test_faces_are_resampled_without_aliasing() -> None:
    stripes = np.zeros((1, 192, 192), np.uint8)
    stripes[:, :, 96::3] = 255  # finer than the network's 48 pixels can show
    seen = np.array(alexnet.preprocess(stripes, 48))[0, :, :, 0]
    assert seen[:, 26:-2].std() < 0.1


def test_a_single_color_becomes_zeros() -> None:
    given = np.array(alexnet.preprocess(np.full((1, 5, 7), 200, np.uint8), 48))
    assert given == pytest.approx(np.zeros_like(given), abs=1e-3)
