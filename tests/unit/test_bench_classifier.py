"""`emostream bench classifier`: what it measures, and what it says of what it cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emostream.services.cli import main
from emostream.services.cli.bench.classifier import Absent, Row, measure, parser
from emostream.shared.errors import ConfigError, ModelError
from emostream.shared.optional_groups import packages_of
from tests.hidden_packages import hidden_modules, run_hidden


class Model:
    """Counts the faces of each call."""

    runtime, max_batch = "NumPy", 32

    def __init__(self, engine: str, device: str) -> None:
        self.engine, self.device = engine, device
        self.seen: list[tuple[int, int]] = []

    def predict(self, faces: np.ndarray) -> None:
        self.seen.append((self.max_batch, len(faces)))


def load(name: str, *, engine: str, device: str, intra_op: int) -> Any:
    if engine == "litert" and device == "gpu":
        raise ConfigError("no GPU")
    return Model(engine, device)


def test_each_engine_on_each_device_is_measured_or_named() -> None:
    options = parser().parse_args(["--no-wire", "--seconds", "0.001", "--batch", "1", "256"])
    found = list(measure(options, load))
    rows = [each for each in found if isinstance(each, Row)]
    assert [(row.engine, row.device, row.faces) for row in rows] == [
        *(("litert", "cpu", faces) for faces in (1, 256)),
        *((engine, device, faces) for engine in ("onnxruntime", "keras")
          for device in ("cpu", "gpu") for faces in (1, 256)),
    ]  # fmt: skip
    assert [each for each in found if isinstance(each, Absent)] == [
        Absent("litert", "gpu", "no GPU")
    ]
    assert all(row.memory.faces_per_s > 0 and row.wire is None for row in rows)


@pytest.mark.parametrize("words", [["--batch", "1025"], ["--batch", "0"], ["--seconds", "0"]])
def test_wrong_numbers_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["bench", "classifier", *words])
    assert ended.value.code == 2
    assert "usage: emostream bench classifier" in capsys.readouterr().err


def test_a_host_that_only_classifies_can_measure(tmp_path: Path) -> None:
    words = ["bench", "classifier", "--engine", "litert", "--no-wire", "--seconds", "0.001"]
    hidden = hidden_modules(packages_of("classifier"))
    (result,) = run_hidden(hidden, [[*words, "--batch", "1", "--json"]], tmp_path)
    assert result[1] == 0, result[2]


def test_the_figures_over_the_wire_are_those_of_a_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--engine", "litert", "--device", "cpu", "--batch", "2", "40", "--seconds", "0.05")
    assert main.main(["bench", "classifier", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["faces"] for row in found["rows"]] == [2, 40]
    for row in found["rows"]:
        assert row["wire"]["faces_per_s"] > 0
        assert row["wire"]["ms"] > 0


def test_what_fails_at_one_size_leaves_the_figures_before() -> None:
    class Small(Model):
        def predict(self, faces: np.ndarray) -> None:
            if len(faces) > 8:
                raise ModelError("out of memory")

    def load_small(name: str, *, engine: str, device: str, intra_op: int) -> Any:
        return Small(engine, device)

    words = ["--no-wire", "--seconds", "0.001", "--engine=litert", "--device=cpu"]
    one, other = measure(parser().parse_args([*words, "--batch", "1", "64"]), load_small)
    assert isinstance(one, Row)
    assert other == Absent("litert", "cpu", "64 faces per batch: out of memory")
