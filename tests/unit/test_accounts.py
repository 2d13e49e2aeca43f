"""The sum of every captured frame closes, whatever is lost, dropped or killed."""

import random

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.shared.account import ANSWERED, LATE, LOST, LOST_WITH_PROCESS, Account
from emostream.shared.accounts import Accounts
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.metric_samples import Scrape, parse
from emostream.shared.metrics import StageMetrics
from tests import builders
from tests.builders import frame
from tests.pipelines import LossyPipeline

STAGES = ("capture", "detector", "classifier", "recorder")


def run(
    pipeline: LossyPipeline, steps: int, *, kills: tuple[str, ...] = (), every: int = 40
) -> None:
    """Let everything happen in a random order, in bursts, and stages be killed now and then."""
    choice: random.Random = pipeline.random
    for number in range(steps):
        for _ in range(choice.choice((0, 0, 1, 8))):
            pipeline.capture(choice.choice(pipeline.streams))
        stage = choice.choice(("detector", *pipeline.classifiers, "recorder", "display"))
        pipeline.step(stage, choice.choice((1, 4, 16)))
        pipeline.clock.now += choice.choice((0, 0.01, 1.2))
        if number % 7 == 0:
            pipeline.commit()
        if kills and number % every == every - 1:
            pipeline.kill(choice.choice(kills))
        if number % every == every // 5:
            pipeline.connect()


def settled(pipeline: LossyPipeline, path: str) -> list[FrameCounts]:
    """Return the sums of a path, one a stream and part, when nothing is in flight any more."""
    pipeline.settle()
    counted = pipeline.counts(path)
    assert len(counted) == len(pipeline.streams) * pipeline.shards
    for counts in counted:
        assert counts.unexplained == 0, counts
        assert counts.in_flight == 0, counts
        for term in (counts.dropped, counts.lost, counts.lost_with_process):
            assert all(count > 0 for count in term.values()), counts
    return counted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("streams", "shards"), [(1, 1), (2, 3)])
def test_without_a_kill_every_frame_is_where_it_went(seed: int, streams: int, shards: int) -> None:
    pipeline = LossyPipeline(seed, streams=streams, shards=shards, loss=0.1)
    run(pipeline, 200)
    for counts in settled(pipeline, "emotions"):
        assert counts.captured == pipeline.captured[counts.stream]
        assert not counts.lost_with_process
        # Before the classifier has seen the stream, it cannot know whose loss it was.
        late = sum(n for (_, reason), n in counts.dropped.items() if reason == LATE)
        true = pipeline.fates[counts.stream, counts.part or 0]
        told = {"detector/lost": counts.lost.get("detector", 0)}
        told["classifier/lost"] = counts.lost.get("classifier", 0)
        told |= {f"{stage}/{reason}": n for (stage, reason), n in counts.dropped.items()}
        for fate in ("detector/lost", "classifier/lost", "detector/backlog", "classifier/backlog"):
            count = true[fate]
            assert count - late <= told.get(fate, 0) <= count, (fate, counts)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("streams", "shards"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("kills", [*((stage,) for stage in STAGES[1:]), STAGES[1:]])
def test_a_kill_leaves_nothing_unexplained_and_counts_nothing_twice(
    seed: int, streams: int, shards: int, kills: tuple[str, ...]
) -> None:
    pipeline = LossyPipeline(seed, streams=streams, shards=shards, loss=0.05)
    run(pipeline, 250, kills=kills)
    for path in ("emotions", "rows"):
        for counts in settled(pipeline, path):
            assert counts.captured == pipeline.captured[counts.stream], counts
            assert counts.lost_with_process.keys() <= {*kills}, counts
    rows = pipeline.counts("rows")
    assert any(one.lost_with_process for one in rows)
    assert sum(one.answered for one in rows) == len(pipeline.rows)


@pytest.mark.parametrize("seed", range(8))
def test_the_sum_closes_over_the_runs_of_a_killed_capture(seed: int) -> None:
    pipeline = LossyPipeline(seed, streams=2, shards=1, loss=0.05)
    run(pipeline, 300, kills=STAGES)
    for path in ("emotions", "rows"):
        for counts in settled(pipeline, path):
            # What a killed capture had numbered and sent to nobody is in no count.
            assert pipeline.sequence[counts.stream] <= counts.captured
            assert counts.captured <= pipeline.captured[counts.stream]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classifiers", [2, 3])
@pytest.mark.parametrize("kills", [(), ("classifier1",), ("detector", "classifier", "recorder")])
def test_the_sum_of_each_shard_closes_where_classifiers_share_them(
    seed: int, classifiers: int, kills: tuple[str, ...]
) -> None:
    pipeline = LossyPipeline(seed, streams=2, shards=3, loss=0.05, classifiers=classifiers)
    run(pipeline, 250, kills=kills)
    killed = {kill.rstrip("0123456789") for kill in kills}
    for path in ("emotions", "rows"):
        for counts in settled(pipeline, path):
            assert counts.captured == pipeline.captured[counts.stream], counts
            assert counts.lost_with_process.keys() <= killed, counts
    assert sum(one.answered for one in pipeline.counts("rows")) == len(pipeline.rows)


def test_a_standby_is_not_asked_what_became_of_the_frames() -> None:
    """It has heard of every frame, but not of those that the active classifier dropped."""
    pipeline = LossyPipeline(1, streams=1, shards=1, loss=0.1)
    run(pipeline, 100)
    counted = settled(pipeline, "emotions")
    standby = CollectorRegistry()
    metrics = StageMetrics("classifier", standby)
    ClassifierMetrics(standby).standby.set(1)
    for seq in range(pipeline.captured["cam0"]):
        metrics.accounts.take(builders.faces(seq, stream="cam0", run="r1", publisher="d"))
    others = [node.scrape() for node in pipeline.nodes.values()]
    told = Scrape(0.0, parse(generate_latest(standby).decode()))
    assert [one for one in frame_counts([told, *others]) if one.path == "emotions"] == counted


def test_the_last_losses_of_a_burst_show_without_a_next_frame() -> None:
    pipeline = LossyPipeline(1, streams=3, shards=1, loss=0.0)
    for _ in range(3):
        for stream in pipeline.streams:
            pipeline.capture(stream)
        for stage in ("detector", "classifier", "recorder"):
            pipeline.step(stage, 99)
    pipeline.loss = 1.0
    for stream in pipeline.streams * 5:
        pipeline.capture(stream)
    for counts in settled(pipeline, "emotions"):
        assert (counts.answered, counts.lost) == (3, {"detector": 5})


def test_what_was_taken_and_then_given_up_is_answered_no_longer() -> None:
    account = Account("recorder", "classifier")
    for seq in range(4):
        account.take(builders.emotion(seq, publisher="p"))
    account.note("r", 2, "disk")
    assert account.fates == {("recorder", ANSWERED): 3, ("recorder", "disk"): 1}
    assert account.known == 4


def test_a_message_that_comes_again_counts_once() -> None:
    account = Account("recorder", "classifier")
    for seq in (0, 1, 1, 0, 2):
        account.take(builders.emotion(seq, publisher="p"))
    assert account.fates == {("recorder", ANSWERED): 3}
    assert account.known == 3


def test_a_frame_of_a_run_that_waits_is_not_taken_for_one_of_the_next() -> None:
    account = Account("detector", "capture")
    account.take(frame(0, run="a", publisher="a").header)
    # Of the next run something is known already, while a frame of this one waits.
    account.note("b", 4, LOST, 5)
    account.take(frame(1, run="a", publisher="a").header)
    account.take(frame(5, run="b", publisher="b").header)
    assert account.known == 8
    assert account.fates["capture", LOST_WITH_PROCESS] == 5


def test_what_an_earlier_pipeline_left_in_the_database_is_not_gone_on_with() -> None:
    first, second = Accounts("recorder"), Accounts("recorder")
    for seq in range(9):
        first.take(builders.emotion(seq, run="a", publisher="p"))
    for state in first.states():
        second.restore(*state)
    second.take(builders.emotion(3, run="b", publisher="q"))
    (state,) = second.states()
    assert state[:4] == ("cam1", "b", 4, "emotion/0")
    assert {one.name: one.samples for one in second.collect()}["emostream_frames_known"][
        0
    ].value == 4


def test_a_stream_that_is_gone_is_forgotten() -> None:
    accounts = Accounts("recorder")
    for stream in ("cam1", "cam2"):
        accounts.take(builders.emotion(0, stream=stream, publisher="p"))
    accounts.forget("cam1")
    assert [state[0] for state in accounts.states()] == ["cam2"]
