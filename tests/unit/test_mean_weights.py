"""The mean of trained networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    import keras

    from emostream.models import mean_weights
else:
    keras = LazyModule("keras")
    mean_weights = LazyModule("emostream.models.mean_weights")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def net(path: Path, value: float, units: int = 2) -> Path:
    model: Any = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    model.set_weights([np.full(each.shape, value) for each in model.get_weights()])
    model.save(path)
    return path


def test_each_weight_is_the_mean_of_all_nets(tmp_path: Path) -> None:
    nets = [str(net(tmp_path / f"{value}.keras", value)) for value in (1.0, 2.0, 6.0)]
    out = tmp_path / "mean.keras"
    assert mean_weights.main([*nets, "--out", str(out)]) == 0
    model = keras.saving.load_model(out)
    assert all((value == 3).all() for value in model.get_weights())


@pytest.mark.parametrize(
    ("name", "units", "out", "message"),
    [
        ("other.keras", 5, "mean.keras", "different layers"),
        ("none.keras", 0, "mean.keras", "none.keras"),
        ("other.keras", 2, "nowhere/mean.keras", "mean.keras cannot be written"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(
    name: str,
    units: int,
    out: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nets = [net(tmp_path / "one.keras", 1), tmp_path / name]
    if units:
        net(nets[1], 2, units)
    assert mean_weights.main([*map(str, nets), "--out", str(tmp_path / out)]) != 0
    assert message in capsys.readouterr().err


def test_a_name_that_keras_cannot_write_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        mean_weights.main(["none.keras", "--out", str(tmp_path / "mean.txt")])
    assert ended.value.code == 2
    assert "mean.txt: give a name that ends in .keras" in capsys.readouterr().err
