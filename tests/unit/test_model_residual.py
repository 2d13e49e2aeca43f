"""The larger network: its size, its answers, and that it teaches the small one."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emostream.models import ferplus
from tests.lazy_modules import LazyModule

if TYPE_CHECKING:
    from emostream.models import alexnet, distillation, residual, train
else:
    alexnet = LazyModule("emostream.models.alexnet")
    distillation = LazyModule("emostream.models.distillation")
    residual = LazyModule("emostream.models.residual")
    train = LazyModule("emostream.models.train")

# Keras 3.15 saves weights through an interface that NumPy 2.4 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_its_size_is_as_documented() -> None:
    from tests.unit.test_model_alexnet import flops

    net = alexnet.single_head(residual.build(), "ferplus")
    assert net.count_params() == 4_306_504
    assert flops(net) / 1e9 == pytest.approx(0.62, abs=0.01)


def test_faces_of_any_size_get_probabilities_by_head() -> None:
    net = residual.build()
    faces = np.random.default_rng(0).integers(0, 256, (3, 60, 52), np.uint8)
    given = {head: np.array(rows) for head, rows in net(faces, training=False).items()}
    assert {head: rows.shape for head, rows in given.items()} == {
        "ferplus": (3, 8),
        "fer2013": (3, 7),
    }
    for rows in given.values():
        assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
        assert np.ptp(rows, axis=0).max() > 0


@pytest.mark.evidence
def test_it_is_trained_by_name_and_teaches(
    two_kinds: ferplus.FerFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residual, "STAGES", ((8, 1),))
    recipe = train.Recipe(arch="residual", epochs=1, batch=8, dtype="float32")
    train.train(two_kinds, two_kinds, recipe, tmp_path)
    taught = distillation.teacher_targets(
        [tmp_path / "epoch-001" / "average.keras"], two_kinds.images
    )
    assert {head: rows.shape for head, rows in taught.items()} == {
        "ferplus": (64, 8),
        "fer2013": (64, 7),
    }
