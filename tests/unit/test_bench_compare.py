"""`--compare` of the benchmarks in this repository: the exit code and what is printed.

Only what takes minutes is replaced. Each benchmark gets measurements that are `slower` times as
long; it computes, prints, writes and compares its figures from them.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import pytest

from benchmarks import (
    cost_of_work,
    engines,
    long_recording,
    ray_pool,
    shared_memory,
    soak,
    takeover,
    viewers,
)
from benchmarks.chaos import command as chaos
from benchmarks.chaos.disturbance import Disturbance
from benchmarks.chaos.plan import Fault, Kind
from benchmarks.chaos.view import Outcome
from benchmarks.two_hosts import __main__ as two_hosts
from benchmarks.two_hosts.scenarios import Figures
from emostream.services.cli.bench.load.command import FED
from emostream.services.cli.bench.load.measurement import Point
from emostream.services.cli.bench.load.work import Work
from emostream.services.cli.bench.result_file import ResultFile, figure
from emostream.shared.frame_counts import FrameCounts
from tests.builders import emotion

COMMITTED: Final = Path(__file__).parents[2] / "docs" / "figures"


def of_cost_of_work(slower: float) -> Mapping[str, Any]:
    def point(faces: int) -> Point:
        cpu = dict.fromkeys(FED, slower * faces)
        work = Work(1, faces, 1920, 1080, 5.0)
        return Point(work, 10.0, 5.0, 0.0, 9.0, 9.0, float(faces), [5.0], cpu, 0.0, {})

    return {"measure_all": lambda chosen, measure: {"faces": [point(1), point(2), point(4)]}}


def of_engines(slower: float) -> Mapping[str, Any]:
    model = Path(__file__)
    return {
        "weights": type("Weights", (), {"find": lambda name, engine: model}),
        "exported_files": lambda source, folder, faces: [source],
        "measure_agreement": lambda paths, folder: [["-"] * 3],
        "measure_in_processes": lambda path, options: {
            "start": slower,
            "memory": 100 * slower,
            "ms": [slower] * len(engines.BATCHES),
        },
    }


def of_long_recording(slower: float) -> Mapping[str, Any]:
    def popen(command: list[str], stdout: IO[str], text: bool) -> None:
        json.dump({"frames_analysed": 10_000, "seconds": 100 * slower}, stdout)

    return {
        "write_film": lambda path, frames, fps: path,
        "subprocess": type("Subprocess", (), {"Popen": popen}),
        "sample_memory": lambda process: [(at, {"capture": 90 * slower}) for at in (1.0, 2.0)],
    }


def of_ray_pool(slower: float) -> Mapping[str, Any]:
    return {"measure": lambda options: {"8 faces: actor": figure([20 * slower], "ms")}}


def of_shared_memory(slower: float) -> Mapping[str, Any]:
    return {"measure": lambda options, shared: (slower, slower)}


def of_soak(slower: float) -> Mapping[str, Any]:
    def measured(film: Path, frames: int, delivery: soak.Delivery) -> soak.Soak:
        samples = [soak.Sample(100 + mb * slower, 9, 9) for mb in (0, 0, 0, 0, 2, 2, 2, 2)]
        counts = [FrameCounts(path, "film", frames, frames, 0) for path in ("emotions", "rows")]
        return soak.Soak(delivery, 9.0, {"capture": samples}, counts, frames)

    return {"write_film": lambda path, frames: path, "soak": measured, "faults": lambda *_: []}


def of_takeover(slower: float) -> Mapping[str, Any]:
    heard = takeover.Heard([(10.0, emotion(0)), (10.0 + slower / 2, emotion(1))])
    return {"run": lambda config, folder, kills, seed: (heard, [10.0], 0)}


def of_viewers(slower: float) -> Mapping[str, Any]:
    @contextlib.contextmanager
    def started(*_: object) -> Iterator[Any]:
        yield None, "ws://127.0.0.1/live"

    return {
        "publish_demo": started,
        "run_display": started,
        "measure": lambda process, url, count, seconds: viewers.Figures(0.1 * slower, 25.0, 40.0),
    }


def of_chaos(slower: float) -> Mapping[str, Any]:
    disturbance = Disturbance(Fault(next(iter(Kind)), "detector", 1.0), slower, 100.0, slower)
    outcome = Outcome(
        disturbances=[disturbance],
        results=10,
        sums=[FrameCounts("rows", "demo", 10, 10, 0)],
        videos=1,
        unreadable=(),
        credited=10,
        missing_rows=0,
        memory_before={"capture": 90.0},
        memory_after={"capture": 90.0},
    )
    return {"enter_namespace": lambda words: True, "run": lambda *_, **__: outcome}


def of_two_hosts(slower: float) -> Mapping[str, Any]:
    one = Figures("clean", 25.0, 20 * slower, 30 * slower, 0.1, {}, None, {}, 1.0, 1.0, {})
    return {"scenarios": lambda seconds: {"clean": lambda folder: one}}


PROGRAMS: Final = {
    cost_of_work: of_cost_of_work,
    engines: of_engines,
    long_recording: of_long_recording,
    ray_pool: of_ray_pool,
    shared_memory: of_shared_memory,
    soak: of_soak,
    takeover: of_takeover,
    viewers: of_viewers,
    chaos: of_chaos,
    two_hosts: of_two_hosts,
}
every_program = pytest.mark.parametrize(
    ("program", "measured"), PROGRAMS.items(), ids=[one.WHAT for one in PROGRAMS]
)


class Bench:
    """Runs a benchmark's command line with replaced measurements."""

    def __init__(self, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program, self._monkeypatch = program, monkeypatch

    def run(self, replaced: Mapping[str, Any], *words: str) -> int:
        """Return the exit code."""
        for name, stub in replaced.items():
            self._monkeypatch.setattr(self._program, name, stub)
        self._monkeypatch.setattr(sys, "argv", [self._program.WHAT, *words])
        try:
            return int(self._program.main())
        except SystemExit as ended:
            return int(ended.code or 0)


@every_program
def test_a_result_is_compared_with_an_earlier_one(
    program: Any,
    measured: Callable[[float], Mapping[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench, earlier = Bench(program, monkeypatch), tmp_path / "earlier.json"
    assert bench.run(measured(1.0), "--out", str(earlier)) == 0
    assert ResultFile.read(earlier).what == program.WHAT
    capsys.readouterr()
    assert bench.run(measured(1.0), "--compare", str(earlier)) == 0
    assert ": 0 slower, 0 faster, " in capsys.readouterr().out
    assert bench.run(measured(1.5), "--compare", str(earlier)) == 1
    printed = capsys.readouterr().out
    assert "slower than on 20" in printed
    assert "+50%" in printed


@every_program
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "earlier.json: No such file or directory"),
        ("{}", "earlier.json is not a result file written by --out"),
        ("other", "earlier.json holds results of `emostream bench`: give a file of `"),
    ],
)
def test_an_unusable_file_is_named_before_anything_is_measured(
    program: Any,
    measured: Callable[[float], Mapping[str, Any]],
    content: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    earlier = tmp_path / "earlier.json"
    if content == "other":
        ResultFile.of("emostream bench", {"age": figure([1.0], "ms")}).write(earlier)
    elif content:
        earlier.write_text(content)

    def fail(*_: object, **__: object) -> None:
        pytest.fail("it measures")

    nothing: dict[str, Any] = dict.fromkeys(measured(1.0), fail)
    if program is two_hosts:
        # It also names the scenarios of its help.
        nothing = {"scenarios": lambda seconds: {"clean": fail}}
    assert Bench(program, monkeypatch).run(nothing, "--compare", str(earlier)) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(("slower", "code"), [(1.0, 0), (1.5, 1)])
def test_a_committed_result_can_be_compared_with(
    slower: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = COMMITTED / "ray-pool.json"
    figures = {
        name: msgspec.structs.replace(one, median=slower * one.median)
        for name, one in ResultFile.read(file).figures.items()
    }
    bench = Bench(ray_pool, monkeypatch)
    assert bench.run({"measure": lambda options: figures}, "--compare", str(file)) == code
    assert ("slower than on 20" in capsys.readouterr().out) == bool(code)
