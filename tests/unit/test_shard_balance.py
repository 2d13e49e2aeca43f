"""Faces are dealt evenly to the shards, and each stays where it is."""

import argparse
import random
from collections import Counter

import pytest

from emostream.services.cli.stage_options import add_stage_options, stage_config
from emostream.services.detector.detection import Detection
from emostream.services.detector.shard_balance import balanced_ids
from emostream.services.detector.tracking import Tracker, track_ids
from emostream.shared.config import load
from emostream.shared.errors import ConfigError
from emostream.shared.messages import Faces
from tests.builders import header_of
from tests.unit.test_detector_stage import Fixed, message, stage_of


def places(count: int) -> list[Detection]:
    """Return faces that stand in rows, far apart."""
    return [
        Detection((20.0 + 120 * (n % 10), 20.0 + 120 * (n // 10), 60, 60), 0.9)
        for n in range(count)
    ]


@pytest.mark.parametrize("shards", [2, 3])
@pytest.mark.parametrize("streams", [1, 5])
def test_shards_carry_alike_while_faces_come_and_go(shards: int, streams: int) -> None:
    """Each second a person may leave and one may come; a stream has 16 faces or more."""
    choice, everybody, ids = random.Random(shards), places(40), track_ids(1_800_000_000)
    trackers: list[Tracker] = []
    for number in range(streams):
        own = balanced_ids(
            ids,
            shards,
            lambda number=number: trackers[number].present,  # type: ignore[misc]
            lambda: (track for tracker in trackers for track in tracker.present),
        )
        trackers.append(Tracker(own))
    there = [set(range(24)) for _ in trackers]
    carried = [Counter[int]() for _ in trackers]
    for step in range(200):
        for present, tracker, counts in zip(there, trackers, carried, strict=True):
            if len(present) > 16:
                present.discard(choice.choice(sorted(present)))
            present.add(choice.randrange(len(everybody)))
            found = [everybody[number] for number in sorted(present)]
            for track, _ in tracker.update(found, step * 10**9):
                counts[track % shards] += 1
    for counts in carried:
        mean = counts.total() / shards
        assert all(abs(counts[part] / mean - 1) <= 0.2 for part in range(shards)), counts


def test_streams_with_one_face_each_are_shared_too() -> None:
    stage = stage_of(Fixed(places(1)), 2)
    given = [one for n in range(20) for one in stage(message(stream=f"cam{n}"))]
    counts = Counter(one.shard for one in given for _ in header_of(one, Faces).faces)
    assert counts == {0: 10, 1: 10}


def test_with_one_shard_ids_are_given_in_order() -> None:
    (given,) = stage_of(Fixed(places(5)), 1)(message())
    ids = [face.track for face in header_of(given, Faces).faces]
    assert ids == list(range(ids[0], ids[0] + 5))


def test_the_option_names_one_of_several() -> None:
    parser = argparse.ArgumentParser()
    add_stage_options(parser, "classifier")
    options = parser.parse_args(["--shard", "1/3", "--set", "detector.shards=3"])
    config = stage_config(options)
    assert (config.classifier.shard, config.classifier.of) == (1, 3)


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2", "0/0"])
def test_an_option_that_names_none_is_refused_in_one_line(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_stage_options(parser, "classifier")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"--shard={text}"])
    assert ended.value.code == 2
    assert "write I/N with I below N" in capsys.readouterr().err


def test_a_classifier_that_would_get_no_face_does_not_start() -> None:
    with pytest.raises(ConfigError, match=r"set detector.shards to 2"):
        load(None, ["classifier.shard=1", "classifier.of=2"])
