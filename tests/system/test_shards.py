"""Two classifiers that share the faces of one stream, as real processes."""

from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream.services.capture.demo.pictures import load_people
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import load
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from tests.builders import header_of
from tests.conftest import fail_with
from tests.system.conftest import DEFAULT, wait_until

FACES = 24
WIDTH, HEIGHT = 144, 186
GRAY = 118
WANTED = 40


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A folder with one picture of many average faces."""
    image = np.full((720, 1280, 3), GRAY, np.uint8)
    people = load_people()
    for number in range(FACES):
        portrait = people[number % len(people)].heads[0].pixels
        head = cv2.resize(portrait[24:540, 20:420], (WIDTH, HEIGHT))
        x, y = 10 + 157 * (number % 8), 20 + 230 * (number // 8)
        behind = GRAY * (1 - head[..., 3:] / 255)
        image[y : y + HEIGHT, x : x + WIDTH] = np.rint(head[..., :3] + behind)
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "many.png"), image)
    return folder


def scrapes(pipeline: Pipeline) -> list[Scrape]:
    stages = ("capture", "detector", "recorder", "display")
    urls = [pipeline.metrics_url(stage) for stage in stages]
    urls += [f"http://{each.metrics}" for each in pipeline.classifiers]
    return [one for url in urls if isinstance(one := scrape(f"{url}/metrics"), Scrape)]


def sums(pipeline: Pipeline) -> list[FrameCounts]:
    return [one for one in frame_counts(scrapes(pipeline)) if one.path in ("emotions", "rows")]


def test_two_classifiers_share_the_faces_and_every_frame_is_accounted_for(
    picture: Path, tmp_path: Path
) -> None:
    settings = [
        f"capture.sources=[{{name='crowd',url='{picture}',loop=true,fps=8.0}}]",
        *("detector.shards=2", "classifier.of=2", "classifier.min_quality=0.0"),
    ]
    inbox = FifoInbox()
    with Pipeline(load(DEFAULT, settings), tmp_path, [["--shard", "1/2"]]) as pipeline:
        pipeline.wait_ready()
        with Bus("test") as bus:
            endpoints = pipeline.config.connect.emotion
            receiver = bus.receiver(
                [Subscription(endpoints, ["emotion/"], 0)], inbox.put, fail_with
            )
            wait_until(partial(_holds, inbox, 2 * WANTED), "answers of both", 60)
            receiver.close()
        counted = sums(pipeline)
        worked = [
            one.total(MetricName.FACES)
            for one in scrapes(pipeline)
            if one.has(MetricName.FACES_LEFT_OUT)
        ]
    faces: Counter[int] = Counter()
    parts_of: dict[int, set[int]] = {}
    seqs = defaultdict(list)
    for message in inbox.take(10_000, 0):
        header = header_of(message, Emotion)
        assert header.parts == 2
        faces[header.part] += len(header.faces)
        for face in header.faces:
            parts_of.setdefault(face.track, set()).add(header.part)
            seqs[face.track].append(header.seq)
    assert faces.total() >= 16 * WANTED
    assert abs(faces[0] / faces[1] - 1) <= 0.2, faces
    assert abs(worked[0] / worked[1] - 1) <= 0.2, worked
    assert all(len(parts) == 1 for parts in parts_of.values()), "a face stays with one classifier"
    assert all(of_face == sorted(set(of_face)) for of_face in seqs.values())
    assert {(one.path, one.part) for one in counted} == {
        (path, part) for path in ("emotions", "rows") for part in (0, 1)
    }
    for one in counted:
        assert one.unexplained == 0, one
        assert not one.lost_with_process, one


def _holds(inbox: FifoInbox, count: int) -> bool:
    return len(inbox) >= count
