"""What is remembered of a stream goes with it: at detector, classifier, switches and viewers."""

import asyncio
from typing import Any

import msgpack
from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.cli.analysis.run_file import STATE_FORMAT
from emostream.services.detector.detection import Detection
from emostream.services.detector.tracking import Tracker, track_ids
from emostream.services.display.viewers import ViewerPool
from emostream.shared.absence import AbsenceClock
from emostream.shared.control import MAX_KEPT, StreamSwitch
from emostream.shared.messages import Emotion, Event, Face, Message
from emostream.shared.replay_sequence import ReplaySequence
from tests import builders
from tests.unit.test_classifier_stage import Model
from tests.unit.test_detector_stage import TWO, Fixed, message, stage_of

NS = 10**9


def test_a_detector_that_forgets_a_stream_begins_it_again() -> None:
    stage = stage_of(Fixed(TWO))
    stage(message(0))
    before = stage.state(message().header)
    stage.forget("cam2")
    assert stage.state(message().header) == before
    stage.forget("cam1")
    assert stage.state(message().header) == b""


def test_a_classifier_that_forgets_a_stream_has_no_label_of_it() -> None:
    registry = CollectorRegistry()
    stage = ClassifierStage(Model(), ClassifierMetrics(registry), SmoothingRules(), 32)
    found = Face(7, (0.0, 0.0, 9.0, 9.0), 0.9, ())
    for part in (0, 1):
        header = builders.faces(0, found, part=part, parts=2)
        stage([Message(header, bytes(64 * 64), part)])
    assert 'stream="cam1"' in generate_latest(registry).decode()
    stage.forget("cam1")
    assert 'stream="cam1"' not in generate_latest(registry).decode()
    assert stage.state(builders.faces(part=1, parts=2)) == b""
    # It enters again, and nothing leaves.
    (event, emotion) = stage([Message(builders.faces(1, found), bytes(64 * 64))])
    assert isinstance(event.header, Event)
    assert (event.header.kind, type(emotion.header)) == ("enter", Emotion)


def test_a_sequence_that_forgets_a_stream_waits_for_its_next_probe() -> None:
    stage = stage_of(Fixed(TWO))
    sequence = ReplaySequence("detector", stage, stage, 4)
    sequence.repeat(builders.frame(0, probe=True, pid=1, base=0, run="1"))
    assert sequence.expects(message(0))
    sequence.forget("cam1")
    assert not sequence.expects(message(0))


def test_a_switch_keeps_of_streams_that_went_what_commands_changed_up_to_a_bound() -> None:
    told: dict[str, bool | None] = {}
    switch = StreamSwitch(False, lambda stream, on: told.update({stream: on}))
    switch.register("seen")
    for number in range(3 * MAX_KEPT):
        switch.set(f"x{number}", True)
        switch.forget(f"x{number}")
        switch.forget(f"x{number}")
    switch.forget("seen")
    assert told["seen"] is None
    assert len(switch.streams) == MAX_KEPT
    assert switch.is_on("x0")
    assert not switch.is_on(f"x{MAX_KEPT}")
    # On its return it is a stream like others, and another may be kept.
    switch.set("x0", False)
    switch.forget("x0")
    assert len(switch.streams) == MAX_KEPT - 1


def test_a_viewer_is_sent_no_picture_of_a_stream_that_went() -> None:
    async def run() -> list[bytes]:
        pool = ViewerPool(lambda stream: None, lambda count: None)
        with pool.connect() as viewer:
            pool.offer("a", b"a")
            pool.offer("b", b"b")
            pool.forget("a")
            assert pool.lacks_picture("a")
            await asyncio.sleep(0)
            return await viewer.next_packets(1)

    assert asyncio.run(run()) == [b"b"]


def test_times_beyond_all_measure_neither_stop_nor_swell_a_clock() -> None:
    clock = AbsenceClock(NS)
    clock.advance(0, recorded=False)
    for number in range(1000):
        clock.advance(2**63 - 1, recorded=False)
        clock.advance(-(2**63) + 1, recorded=False)
        clock.advance(40_000_000 * number, recorded=False)
    now, _, _ = clock.state()
    assert now < 2**53
    assert clock.advance(10**15, recorded=True) > now


def test_a_face_is_followed_on_after_a_frame_with_a_time_beyond_all_measure() -> None:
    tracker = Tracker(track_ids(1_800_000_000))
    found = [Detection((100, 100, 60, 60), 0.9)]
    for number in range(10):
        tracker.update(found, number * 40_000_000)
    tracker.update(found, 2**62)
    after = [tracker.update(found, number * 40_000_000)[0][0] for number in range(10, 30)]
    assert len(set(after)) == 1


def layout(value: Any) -> Any:
    """Return the types of a state's values, a row of equal ones as one."""
    if not isinstance(value, list):
        return type(value).__name__
    types = [layout(each) for each in value]
    return types[:1] if all(each == types[0] for each in types) else types


def test_a_changed_state_gets_a_new_format() -> None:
    # An interrupted analysis continues from these. If this fails, raise STATE_FORMAT.
    detector = stage_of(Fixed(TWO))
    classifier = ClassifierStage(
        Model(), ClassifierMetrics(CollectorRegistry()), SmoothingRules(), 32, baseline=True
    )
    found = Face(7, (0.0, 0.0, 9.0, 9.0), 0.9, ())
    for seq in range(2):
        detector(message(seq))
        classifier([Message(builders.faces(seq, found), bytes(64 * 64))])
    states = detector.state(message().header), classifier.state(builders.faces())
    track = ["int", *["float"] * 6, "int", "int", "bool"]
    label = [["float"], ["float"], "int", "int", "int", []]
    assert (STATE_FORMAT, *(layout(msgpack.unpackb(state)) for state in states)) == (
        2,
        ["int", [["int"], [track]], ["float", "bytes", "bytes", "bytes"]],
        [["int"], [[*["int"] * 5, label]], [["int", [["float"], "int"]]], ["int"]],
    )
