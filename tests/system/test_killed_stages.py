"""The sum of all frames when stages are killed while a burst of several streams goes through."""

import sqlite3
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Source, load
from emostream.shared.frame_counts import SKEW, FrameCounts, frame_counts
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from tests.system.conftest import DEFAULT, wait_until
from tests.unit.videos import Clip

FRAMES = 150
STREAMS = ("door", "yard")
# Those that a burst does not begin again with.
KILLED = ("detector", "classifier", "recorder")


@pytest.fixture
def clips(tmp_path: Path) -> list[Source]:
    """Two videos of 6 s, played at their own pace."""
    clip = Clip([128] * FRAMES).write(tmp_path / "clip.mp4")
    return [Source(name=name, url=str(clip)) for name in STREAMS]


def sums(pipeline: Pipeline) -> dict[tuple[str, str], FrameCounts]:
    scrapes = [scrape(f"{pipeline.metrics_url(stage)}/metrics") for stage in STAGES]
    counts = frame_counts([one for one in scrapes if isinstance(one, Scrape)])
    return {(one.path, one.stream): one for one in counts}


def answers_at_display(pipeline: Pipeline) -> dict[str, float]:
    """Return how many of each stream's frames came to the display with their emotions."""
    found = scrape(f"{pipeline.metrics_url('display')}/metrics")
    if not isinstance(found, Scrape):
        return dict.fromkeys(STREAMS, 0.0)
    labels = {"stage": "display", "topic": "emotion", "at": "display", "fate": "answered"}
    return {
        name: found.total(MetricName.FRAMES_ACCOUNTED, stream=name, **labels) for name in STREAMS
    }


def test_after_kill_9_nothing_is_unexplained_and_nothing_counted_twice(
    clips: list[Source], tmp_path: Path
) -> None:
    config = load(DEFAULT)
    capture = msgspec.structs.replace(config.capture, sources=tuple(clips))
    config = msgspec.structs.replace(config, capture=capture)
    with Pipeline(config, tmp_path) as pipeline:

        def have_begun() -> bool:
            # The display too: who is killed leaves the word to who was there before, and has seen
            # more than may be a matter of when it was asked.
            seen, counts = answers_at_display(pipeline), sums(pipeline)
            written = {name: counts.get(("rows", name)) for name in STREAMS}
            return all(
                one is not None and min(one.answered, seen[name]) > 2 * SKEW
                for name, one in written.items()
            )

        wait_until(have_begun, "all to have begun")
        before = pipeline.stage_processes()
        for stage in KILLED:
            before[stage].kill()
            time.sleep(0.3)
        assert not any(map(psutil.Process.is_running, (before[stage] for stage in KILLED)))

        def is_settled() -> bool:
            counts = sums(pipeline)
            paths = [counts.get((path, name)) for path in ("emotions", "rows") for name in STREAMS]
            return all(
                one is not None and one.captured == FRAMES and one.in_flight == 0 for one in paths
            )

        wait_until(is_settled, "every frame to be accounted for")
        settled = sums(pipeline)
    database = sqlite3.connect(tmp_path / "recordings" / "emostream.db")
    rows = dict(database.execute("SELECT stream, count(*) FROM frames GROUP BY stream"))
    database.close()
    for name in STREAMS:
        for path in ("emotions", "rows"):
            counts = settled[path, name]
            assert counts.unexplained == 0, counts
            assert counts.lost_with_process.keys() <= {*KILLED}, counts
            assert counts.lost_with_process, counts
        assert settled["rows", name].answered == rows.get(name, 0)
        # The stage that reports the emotions may have started a frame or two after the recorder.
        late = sum(settled["emotions", name].dropped.values())
        assert settled["emotions", name].answered + late >= rows.get(name, 0)
