"""Result files of benchmarks: what is written, and what a comparison says became slower."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from emostream.services.cli import main
from emostream.services.cli.bench.comparison import report
from emostream.services.cli.bench.plots import plot_figures
from emostream.services.cli.bench.process_costs import Costs, proportional_mb
from emostream.services.cli.bench.result_file import Better, Figure, ResultFile, figure
from emostream.shared.errors import ConfigError

PNG = b"\x89PNG\r\n"


def results(what: str = "emostream bench", **figures: Figure) -> ResultFile:
    return ResultFile.of(what, figures)


def ms(*values: float, better: Better = "lower") -> Figure:
    return figure(values, "ms", better)


def said(
    before: ResultFile, now: ResultFile, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    code = report(before, now)
    return code, capsys.readouterr().out


def test_a_file_has_where_with_what_and_how_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    results(age=ms(20, 25, 21)).write(path)
    written = json.loads(path.read_text())
    assert written["figures"]["age"] == {
        "median": 21,
        "range": [20, 25],
        "unit": "ms",
        "better": "lower",
    }
    assert set(written["machine"]) == {"cpu", "cores", "memory_gb", "os"}
    assert written["machine"]["cores"] > 0
    assert {"python", "numpy", "opencv-python"} <= set(written["versions"])
    assert written["command"]
    assert ResultFile.read(path).figures["age"] == ms(20, 25, 21)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"what": 3}', "\xff"])
def test_another_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, "latin-1")
    with pytest.raises(ConfigError, match=r"other\.json is not a result file"):
        ResultFile.read(path)


@pytest.mark.parametrize(
    ("before", "now", "is_slower"),
    [
        (ms(100, 101, 102), ms(115), True),
        (ms(100, 101, 102), ms(108), False),
        (ms(100, 101, 130), ms(125), False),
        (ms(100), ms(50), False),
        (ms(100, better="higher"), ms(85), True),
        (ms(100, better="higher"), ms(150), False),
        (ms(100, better=""), ms(500), False),
        (ms(0), ms(0.4), False),
        (ms(0), ms(0.6), True),
    ],
)
def test_slower_is_beyond_a_tenth_and_beyond_every_run_before(
    before: Figure, now: Figure, is_slower: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = said(results(age=before, same=ms(1)), results(age=now, same=ms(1)), capsys)
    assert (code, "1 slower" in printed) == (int(is_slower), is_slower)
    assert ("slower than on" in printed) == is_slower


def test_what_became_slower_is_named_with_both_figures(capsys: pytest.CaptureFixture[str]) -> None:
    before = results(age=ms(20), speed=figure([30], "frames/s", "higher"))
    now = results(age=ms(40), speed=figure([60], "frames/s", "higher"))
    code, printed = said(before, now, capsys)
    slower, faster = printed.split("faster than on")
    assert code == 1
    assert "age" in slower
    assert "+100%" in slower
    assert "speed" in faster
    assert "2 figures: 1 slower, 1 faster, 0 the same." in printed


def test_another_machine_and_what_is_missing_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    now = results(age=ms(20))
    machine = msgspec.structs.replace(now.machine, cpu="Abacus")
    before = msgspec.structs.replace(now, machine=machine, figures={**now.figures, "gone": ms(1)})
    code, printed = said(before, now, capsys)
    assert code == 0
    assert "then Abacus" in printed
    assert "Not measured this time: gone." in printed


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (results(other=ms(1)), "no figure in common"),
        (results(age=figure([1], "s")), "age was in s and is now in ms"),
    ],
)
def test_what_cannot_be_compared_is_refused(before: ResultFile, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        report(before, results(age=ms(20)))


def test_figures_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "live.png"
    plot_figures(results(age=ms(20, 30), speed=figure([30], "frames/s", "higher")), path)
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--compare", "missing.json"], "cannot read missing.json: No such file"),
        (["--compare", "load.json"], "load.json holds results of `emostream bench load`"),
        (["--out", "nowhere/live.json"], "--out: no folder nowhere"),
        (["load", "--out", "nowhere/load.json"], "--out: no folder nowhere"),
    ],
)
def test_wrong_files_are_named_before_anything_is_measured(
    words: Sequence[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    results("emostream bench load", age=ms(1)).write(Path("load.json"))
    assert main.main(["bench", *words]) == 2
    assert line in capsys.readouterr().err


def test_a_file_that_is_no_json_by_its_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["bench", "--out", "figures.png"])
    assert ended.value.code == 2
    assert "give a name that ends in .json" in capsys.readouterr().err


def test_memory_is_the_share_of_a_process() -> None:
    own = psutil.Process()
    assert 0 < proportional_mb(own) <= own.memory_info().rss / 1e6
    costs = Costs.of({"test": own})
    assert costs.cpu_s["test"] > 0
