"""What more cores would give, computed from what a frame costs, and what limits it."""

from pathlib import Path

import pytest

from benchmarks.cost_of_work import line
from benchmarks.more_cores import ANALYZE, PROGRAM, Costs, limits, read
from emostream.services.cli.bench.result_file import ResultFile, figure
from emostream.shared.errors import ConfigError

COSTS = Costs(
    cpu={"capture": 2.0, "detector": 7.0, "classifier": 3.0},
    step={"capture": 2.0, "detector": 3.5, "classifier": 3.0},
    search=6.0,
    in_order=1.0,
)


def test_few_cores_limit_and_then_the_slowest_thread() -> None:
    few = limits(COSTS, 2)
    assert min(few, key=few.__getitem__) == "all cores"
    assert few["all cores"] == pytest.approx(2000 / 12)
    many = limits(COSTS, 16)
    assert min(many, key=many.__getitem__) == "classifier"
    assert many["classifier"] == pytest.approx(1000 / 3)
    # It searches on four threads at most.
    assert limits(COSTS, 16)["detector, search"] == limits(COSTS, 4)["detector, search"]


def test_costs_are_those_of_the_file_and_shares_those_of_here(tmp_path: Path) -> None:
    figures = {
        f"{PROGRAM}: {stage}, {kind}": figure([ms], "ms per frame")
        for kind in ("processor", "step")
        for stage, ms in COSTS.cpu.items()
    }
    path = tmp_path / "analyze.json"
    ResultFile.of(ANALYZE, figures).write(path)
    costs = read(path, (12.0, 2.0))
    assert costs.cpu == COSTS.cpu
    assert [costs.search, costs.in_order] == pytest.approx([6, 1])


@pytest.mark.parametrize(
    ("what", "words"),
    [("emostream bench", "holds results of `emostream bench`"), (ANALYZE, "does not say")],
)
def test_another_file_is_refused(what: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    ResultFile.of(what, {"age": figure([1], "ms")}).write(path)
    with pytest.raises(ConfigError, match=words):
        read(path, (1.0, 1.0))


def test_a_line_says_what_one_more_costs_and_how_straight_it_is() -> None:
    assert list(line([1, 2, 4], [5, 7, 11])) == pytest.approx([2, 3, 0])
    _, _, away = line([1, 2, 4], [5, 7, 20])
    assert away > 0.05
