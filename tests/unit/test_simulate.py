"""The simulation of many streams: where it can be told by hand, it says the same."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.table import Table

from benchmarks.simulate import arithmetic, check, observed
from benchmarks.simulate.__main__ import main
from benchmarks.simulate.figures import MEASURED, Failure, Figures, Plant, read_figures
from benchmarks.simulate.model import Simulation
from benchmarks.simulate.outcome import Outcome
from benchmarks.simulate.real import Load, Real
from emostream.shared.errors import ConfigError
from emostream.shared.messages import Emotion
from tests.builders import emotion

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
FIGURES = Figures(
    capture_ms=2.0,
    detector_ms=8.0,
    classifier_ms=1.0,
    classifier_face_ms=1.0,
    batch_ms=14.0,
    faces_message_bytes=1000,
    face_bytes=5000,
    result_face_bytes=1000,
)


def simulate(seconds: float = 5.0, figures: Figures = FIGURES, **plant: Any) -> Outcome:
    plant = {"streams": 3, "classifiers": 1, "vary": False, **plant}
    return Simulation(figures, Plant(**plant), seconds, warm_up=1.0).run()


def test_with_time_to_spare_every_frame_is_answered_after_what_the_stages_take() -> None:
    outcome = simulate(streams=1)
    assert outcome.captured == pytest.approx(125, abs=2)
    assert (outcome.answered, outcome.dropped) == (outcome.captured, {})
    # 8 + 1 + 3 faces. The age starts when the frame is decoded.
    assert outcome.age_ms(50) == pytest.approx(12, abs=0.1)
    assert outcome.busy[0] == pytest.approx(25 * 0.008, rel=0.03)
    # The time in which others could share the batch.
    assert simulate(streams=1, max_wait_ms=2).age_ms(50) == pytest.approx(14, abs=0.1)


def test_frames_that_come_together_wait_for_each_other() -> None:
    together, apart = (
        simulate(streams=4, streams_per_detector=4, phases=phases)
        for phases in ((0.5,) * 4, (0.0, 0.25, 0.5, 0.75))
    )
    assert apart.age_ms(50) == pytest.approx(12, abs=0.2)
    # The detector takes 8 ms for each of them; their times vary by 2 ms.
    assert together.age_ms(95) == pytest.approx(4 * 8 + 4, abs=4)
    assert together.age_ms(50) == pytest.approx(2.5 * 8 + 4, abs=4)


def test_a_process_is_slower_after_a_pause() -> None:
    figures = msgspec.structs.replace(FIGURES, usual_pause_ms=8, pause_exponent=0.5)
    # A detector with d of 40 ms has a pause of 40 - d, and d = 8 sqrt((40 - d) / 8) = 14.3; so the
    # classifier takes 8.
    assert simulate(figures=figures, streams=1).age_ms(50) == pytest.approx(14.3 + 8, abs=0.5)
    # Where the next frame waits, there is no pause.
    full = simulate(figures=figures, streams=8, streams_per_detector=8)
    assert full.answers_per_s > 1.5 * simulate(streams=8, streams_per_detector=8).answers_per_s


def test_a_detector_answers_what_it_has_time_for_and_the_rest_is_dropped() -> None:
    outcome = simulate(streams=8, streams_per_detector=8)
    assert outcome.answers_per_s == pytest.approx(125, rel=0.02)
    assert outcome.busy[0] == pytest.approx(1, rel=0.02)
    assert outcome.captured == outcome.answered + outcome.dropped.total()
    assert all(place.startswith("detector") for place in outcome.dropped)
    # Fresh beats complete.
    assert outcome.age_ms(99) < 400


def test_more_classifiers_answer_more_until_they_answer_all() -> None:
    few, some, many = (
        simulate(2.0, streams=60, faces=4.0, classifiers=count) for count in (3, 6, 20)
    )
    assert few.dropped_percent > some.dropped_percent > many.dropped_percent == 0
    # 1,500 frames per second of 5 ms.
    assert few.answers_per_s == pytest.approx(600, rel=0.03)
    assert few.busy[2] == pytest.approx(1, rel=0.06)


def test_a_thin_link_carries_what_it_can_and_what_it_carries_is_fresh() -> None:
    """A frame of three faces takes 128 kbit."""
    outcome = simulate(streams=3, link_mbit=1.28, link_ms=10)
    assert outcome.answers_per_s == pytest.approx(10, rel=0.1)
    assert outcome.dropped.keys() == {"link"}
    assert outcome.age_ms(99) < 200 + 100 + 10 + 20 + 20


def test_what_a_killed_classifier_does_not_answer_a_standby_does() -> None:
    killed = (Failure(classifier=0, at_s=2.0, away_s=2.0),)
    plant: dict[str, Any] = {"streams": 6, "classifiers": 2, "failures": killed}
    alone, helped = simulate(**plant), simulate(**plant, standbys=1)
    # Half of the streams for two of five seconds.
    assert alone.dropped_percent == pytest.approx(20, abs=1)
    assert alone.dropped.keys() == {"classifier away"}
    assert helped.dropped_percent < 1
    # It waits for a second of silence, then works off what it held.
    assert 1000 < helped.age_ms(100) < 1300


def test_shared_cores_hold_up_everybody() -> None:
    own, shared = simulate(streams=6), simulate(streams=6, cores=1)
    assert own.dropped_percent == 0
    # 150 frames per second of 14 ms are twice what one core has.
    assert shared.dropped_percent > 20
    assert shared.age_ms(50) > own.age_ms(50)


def test_other_programs_take_their_share() -> None:
    alone, beside = (
        simulate(streams=8, streams_per_detector=8, cores=1, other_cores=others)
        for others in (0.0, 0.5)
    )
    assert beside.answers_per_s < 0.75 * alone.answers_per_s


def test_the_arithmetic_says_what_a_calculator_does() -> None:
    table = arithmetic.processes(FIGURES, 1000, 25, 3)
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns["cores"] == ["50", "200", "100", "350"]
    assert columns["streams per process"][:3] == ["14", "3", "7"]
    assert columns["processes"][:3] == ["72", "334", "143"]
    crops = next(iter(arithmetic.traffic(FIGURES, 1000, 25, 3).columns[2].cells))
    assert crops == "3.20 Gbit/s"
    # 9e10 frames of 14 ms: 350,000 core hours, 73 days on 200 cores.
    archive = arithmetic.archive(FIGURES, 1e6, 25, 3)
    assert "350,000 core hours" in str(archive.title)
    assert next(iter(archive.columns[1].cells)) == "73"


def answers(
    shares: Mapping[str, float], detector_ms: Callable[[float], float], frames: int = 50
) -> list[Emotion]:
    """Return the answers of streams with 5 fps that are `shares` of 200 ms apart."""
    begin, free, found = 1_000_000_000, 0.0, []
    times = sorted(
        (200 * (number + share), stream)
        for stream, share in shares.items()
        for number in range(frames)
    )
    for t, stream in times:
        ended = t + detector_ms(t - free)
        marks = {
            stage: (begin + int(1e6 * taken), begin + int(1e6 * given))
            for stage, taken, given in (("detector", t, ended), ("classifier", ended, ended + 1))
        }
        found.append(emotion(0, stream=stream, t=begin + int(1e6 * t), marks=marks))
        free = ended
    return found


def test_phases_are_read_from_the_capture_times() -> None:
    shares = {"cam0": 0.3, "cam1": 0.29, "cam2": 0.1}
    found = observed.phases(answers(shares, lambda pause: 5.0), 5.0)
    # The time starts with the first frame of all, so the phase of cam2 is 0, or almost 1.
    assert [(phase + 0.05 - found[2]) % 1 for phase in found] == pytest.approx([0.25, 0.24, 0.05])
    assert (found[2] + 0.05) % 1 == pytest.approx(0.05)


def test_the_effect_of_pauses_is_read_from_the_marks() -> None:
    shares = {"cam0": 0.0, "cam1": 0.05, "cam2": 0.2, "cam3": 0.6}
    steady = observed.pauses(answers(shares, lambda pause: 5.0))
    assert steady.exponent == pytest.approx(0, abs=1e-6)
    # The classifier's 1 ms does not grow.
    slower = observed.pauses(answers(shares, lambda pause: 5.0 * (pause / 30) ** 0.1))
    assert slower.exponent == pytest.approx(0.1 * 5 / 6, abs=0.01)
    assert 20 < slower.usual_ms < 40
    # All pauses are the same, or there are few.
    assert observed.pauses(answers({"cam0": 0.0}, lambda pause: 5.0)).exponent == 0
    assert observed.pauses(answers(shares, lambda pause: pause, frames=1)).exponent == 0


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.15, 0), (1.3, 1), (0.75, 1)])
def test_the_check_fails_if_a_real_run_differs_by_more_than_a_fifth(
    factor: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real run whose stages take as long as in the simulation, except for a `factor`."""
    cpu = {"capture": 1.0, "detector": 5.0, "classifier": 3.0, "recorder": 0.5, "display": 0.5}
    pauses = observed.Pauses(30.0, 0.0)

    def measure(load: Load, seconds: float) -> Real:
        phases = tuple(number / load.streams for number in range(load.streams))
        # 5 + 3, and three times 1 ms between processes.
        p50 = 11.0 if load.streams == 4 else 11.0 * factor
        return Real(load.streams * load.fps, p50, 0.0, cpu, 3.0, 0.0, phases, pauses)

    monkeypatch.setattr(check, "measure", measure)
    assert main(["--check", "8", "4", "--check-fps", "5"]) == code
    printed = capsys.readouterr().out
    assert "learned from 4" in printed
    assert "a hop 1.0" in printed


def test_the_measured_figures_are_read_and_may_be_changed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert read_figures(MEASURED).detector_ms > 0
    file = tmp_path / "figures.json"
    file.write_bytes(msgspec.json.encode(FIGURES))
    words = ["--figures", str(file), "--seconds", "1", "--streams", "4", "--classifiers", "1", "2"]
    assert main(words) == 0
    assert "0.00" in capsys.readouterr().out
    assert main([*words, "--set", "detector_ms=40"]) == 0
    assert "detector" in capsys.readouterr().out
    assert main([*words, "--set", "detektor_ms=40"]) == 1
    assert "one of capture_ms, detector_ms" in capsys.readouterr().err
    assert main([*words, "--set", "detector_ms=-1"]) == 1
    assert capsys.readouterr().err == "error: --set: Expected `float` >= 0.0 - at `$.detector_ms`\n"


def test_only_a_classifier_of_the_plant_can_be_killed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seconds", "1", "--streams", "4", "--classifiers", "2", "1", "--kill"]
    assert main([*words, "1:1:1"]) == 1
    assert capsys.readouterr().err == "error: --kill 1: the last is 0\n"
    for text in ("0:1", "x:1:1", "0:-1:1", "0:1:0"):
        with pytest.raises(SystemExit):
            main([*words, text])
        assert f"'{text}' is not N:AT:AWAY" in capsys.readouterr().err


def test_a_file_with_other_figures_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text('{"capture_ms": -1}')
    with pytest.raises(ConfigError, match=r"figures\.json: "):
        read_figures(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_figures(tmp_path / "none.json")


def test_the_page_has_the_tables_of_the_measured_figures() -> None:
    page, figures = PAGE.read_text("utf-8"), read_figures(MEASURED)
    load = (1000, 25.0, 3.0)
    rows = [
        *rows_of(arithmetic.processes(figures, *load)),
        *rows_of(arithmetic.traffic(figures, *load)),
        *rows_of(arithmetic.archive(figures, 1e6, 25.0, 3.0)),
    ]
    # The page explains why the display is not included.
    shown = [row.replace("recorder and display", "recorder") for row in rows]
    shown = [row.replace("rows, per day", "database rows, per day") for row in shown]
    assert [row for row in shown if row not in page] == []


def rows_of(table: Table) -> list[str]:
    """Return the rows of a table as Markdown."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = zip(*columns, strict=True)
    return [
        f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |") for cells in rows
    ]
