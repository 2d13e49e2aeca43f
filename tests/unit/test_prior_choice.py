"""The rule that chooses a model's default prior."""

from dataclasses import replace

import numpy as np
import pytest

from emostream.models.evaluation.priors import PosedScores, PriorScores, choose_default
from emostream.models.evaluation.scores import score

ANY = score(np.array([[0.9, 0.1]], np.float32), np.array([0]), ("calm", "glad"))


def row(prior: str, accuracy: float, ece: float, macro_recall: float, clear: float) -> PriorScores:
    scores = replace(ANY, accuracy=accuracy, ece=ece, macro_recall=macro_recall)
    return PriorScores(prior, {"B": scores}, PosedScores(100, clear, (0.0, 1.0), 0.0))


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([row("best", 0.83, 0.01, 0.6, 0.70), row("clearer", 0.826, 0.01, 0.6, 0.75)], "clearer"),
        ([row("best", 0.83, 0.01, 0.6, 0.70), row("costly", 0.824, 0.01, 0.6, 0.75)], "best"),
        ([row("best", 0.83, 0.01, 0.6, 0.70), row("unsure", 0.83, 0.03, 0.6, 0.75)], "best"),
        ([row("even", 0.83, 0.01, 0.6, 0.705), row("recalls", 0.83, 0.01, 0.7, 0.70)], "recalls"),
        ([row("unsure", 0.83, 0.03, 0.6, 0.70)], ""),
    ],
)
def test_the_rule_weighs_cost_calibration_and_clear_faces(
    rows: list[PriorScores], chosen: str
) -> None:
    assert choose_default(rows, "B") == chosen
