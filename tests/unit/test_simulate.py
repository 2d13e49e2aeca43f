"""The simulation of many streams: where it can be told by hand, it says the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.simulate import arithmetic
from benchmarks.simulate.__main__ import main
from benchmarks.simulate.figures import MEASURED, Failure, Figures, Plant, read_figures
from benchmarks.simulate.model import Simulation
from benchmarks.simulate.outcome import Outcome
from emostream.shared.errors import ConfigError

FIGURES = Figures(
    capture_ms=2.0,
    detector_ms=8.0,
    classifier_ms=1.0,
    classifier_face_ms=1.0,
    analyze_ms=14.0,
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
    # 2 + 8 + 1 + 3 faces, and 2 ms in which others could share the batch.
    assert outcome.age_ms(50) == pytest.approx(16, abs=0.1)
    assert outcome.busy[0] == pytest.approx(25 * 0.008, rel=0.03)


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


def test_a_file_with_other_figures_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text('{"capture_ms": -1}')
    with pytest.raises(ConfigError, match=r"figures\.json: "):
        read_figures(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_figures(tmp_path / "none.json")
