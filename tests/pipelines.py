"""A live pipeline without sockets and processes, whose links lose and whose stages are killed."""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest

from emostream.shared.bus import Publisher
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.gaps import Gaps
from emostream.shared.inbox import FifoInbox, Inbox, LiveInbox
from emostream.shared.messages import (
    AnyHeader,
    Emotion,
    Faces,
    Frame,
    Message,
    common_fields,
)
from emostream.shared.metric_samples import Scrape, parse
from emostream.shared.metrics import StageMetrics
from emostream.shared.sequences import frame_part
from emostream.shared.sums import Sums
from emostream.shared.wire import decode
from tests import builders
from tests.builders import Clock

MOST_TAKEN = 4


class Link:
    """What lies in the sockets between a publisher and a subscriber."""

    def __init__(self, topics: Callable[[str], bool]) -> None:
        self.topics = topics
        self.is_connected = True
        self.messages: deque[Message] = deque()


class Wire:
    """A PUB socket as far as a publisher needs one; what it cannot hold is lost."""

    def __init__(self, links: Mapping[str, Link], loses: Callable[[str, Message], bool]) -> None:
        self.links = links
        self.loses = loses

    def getsockopt_string(self, _: int) -> str:
        return ""

    def get(self, _: int) -> int:
        return 0

    def send_multipart(self, parts: list[Any], *, copy: bool) -> None:
        assert not copy
        message = decode(parts)
        for name, link in self.links.items():
            wanted = link.topics(message.topic) and link.is_connected
            if wanted and not self.loses(name, message):
                link.messages.append(message)


class Node:
    """One process of a stage, as `Service` runs it."""

    def __init__(
        self,
        stage: str,
        primary: type[AnyHeader],
        wire: Wire,
        clock: Clock,
        dropped: Callable[[str, Message], None],
        *,
        is_live: bool,
    ) -> None:
        self.stage = stage
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics(stage, self.registry)
        self.metrics.ready.set(1)
        self.primary = primary
        self.gaps = Gaps(self._late, self.metrics.lost)
        self.inbox: Inbox = LiveInbox(self._dropped, 3, 10.0, clock) if is_live else FifoInbox()
        self.sums = Sums(self.metrics.accounts, primary, clock)
        self.publisher = Publisher(cast(Any, wire), f"{random.getrandbits(32):08x}")

        self._record = dropped

    def _dropped(self, message: Message, reason: str) -> None:
        self._record(f"{self.stage}/{reason}", message)
        self.metrics.dropped(message, reason)

    def _late(self, message: Message, count: int) -> None:
        if isinstance(message.header, self.primary):
            self.metrics.late(message, count)

    def receive(self, link: Link, count: int) -> None:
        """Take messages from the sockets into the inbox."""
        for _ in range(min(count, len(link.messages))):
            message = link.messages.popleft()
            self.gaps.see(message)
            self.inbox.put(message)

    def work(self, step: Callable[[Message], list[Message]]) -> list[Message]:
        """Work on some of what waits; return what was worked on."""
        messages = self.inbox.take(MOST_TAKEN, 0) or self.sums.due()
        self.sums.take(messages)
        for message in messages:
            for answer in step(message):
                self.publisher.send(self.sums.add_to(answer))
        return messages

    def scrape(self) -> Scrape:
        return Scrape(0.0, parse(generate_latest(self.registry).decode()))


def faces_of(message: Message, shards: int) -> list[Message]:
    """Answer a frame, a probe or an end as a detector does, without a face."""
    fields: dict[str, Any] = {
        "width": 1,
        "height": 1,
        "faces": (),
        "crop": (64, 64),
        "parts": shards,
    }
    return [
        Message(
            Faces(**common_fields(message.header), **fields, part=part),
            b"" if message.header.is_data else None,
            part,
        )
        for part in range(shards)
    ]


def emotions_of(message: Message) -> list[Message]:
    """Answer faces as a classifier does."""
    header = message.header
    assert isinstance(header, Faces)
    fields: dict[str, Any] = {"model": "m", "faces": (), "degraded": False}
    return [
        Message(Emotion(**common_fields(header), **fields, part=header.part, parts=header.parts))
    ]


class LossyPipeline:
    """Capture, detector, classifiers, recorder and display, step by step.

    `loss` is the share of messages that a link loses. Of several classifiers each takes its share
    of the shards; they are named `classifier`, `classifier1`, `classifier2` ...
    """

    def __init__(
        self, seed: int, *, streams: int, shards: int, loss: float, classifiers: int = 1
    ) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.streams = [f"cam{number}" for number in range(streams)]
        self.shards = shards
        self.loss = loss
        self.classifiers = ["classifier", *(f"classifier{n}" for n in range(1, classifiers))]
        self.links = {
            "detector": Link(lambda topic: topic.startswith("frame/")),
            "pixels": Link(lambda topic: topic.startswith("frame/")),
            **{name: Link(self._takes(n)) for n, name in enumerate(self.classifiers)},
            "recorder": Link(lambda topic: topic.startswith("emotion/")),
            "display": Link(lambda topic: topic.startswith("emotion/")),
        }
        self.captured: Counter[str] = Counter()
        # What truly became of the frames of each stream and part, as far as it was no kill.
        self.fates: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self.rows: set[tuple[str, str, int, int]] = set()
        self.uncommitted: set[tuple[str, str, int, int]] = set()
        self.kept: list[tuple[str, str, int, str, bytes]] = []
        self.runs = 0
        self.nodes: dict[str, Node] = {}
        for stage in ("capture", "detector", *self.classifiers, "recorder", "display"):
            self._start(stage)

    def _takes(self, number: int) -> Callable[[str], bool]:
        """Return which topics the classifier of this number subscribes to."""

        def takes(topic: str) -> bool:
            kind, _, rest = topic.partition("/")
            return kind == "faces" and int(rest.partition("/")[0]) % len(self.classifiers) == number

        return takes

    def _start(self, stage: str) -> None:
        out = {
            "capture": ("detector", "pixels"),
            "detector": tuple(self.classifiers),
            **dict.fromkeys(self.classifiers, ("recorder", "display")),
        }
        wire = Wire({name: self.links[name] for name in out.get(stage, ())}, self._loses)
        kind = "classifier" if stage in self.classifiers else stage
        self.nodes[stage] = Node(
            kind,
            Faces if kind == "classifier" else Frame,
            wire,
            self.clock,
            self._record,
            is_live=stage not in ("recorder", "display"),
        )
        self.outputs = out
        if stage == "capture":
            self.runs += 1
            self.sequence: Counter[str] = Counter()
        if stage == "recorder":
            for state in self.kept:
                self.nodes["recorder"].metrics.accounts.restore(*state)

    def _loses(self, name: str, message: Message) -> bool:
        is_lost = self.random.random() < self.loss
        if is_lost:
            kind = "classifier" if name in self.classifiers else name
            self._record(f"{kind}/lost", message)
        return is_lost

    def _record(self, fate: str, message: Message) -> None:
        part = frame_part(message.header)
        if part is not None:
            # A frame is missed in all its parts.
            parts = range(self.shards) if isinstance(message.header, Frame) else (part,)
            for number in parts:
                self.fates[message.header.stream, number][fate] += 1

    def kill(self, stage: str) -> None:
        """Kill a stage's process: with it goes what it holds, and what its sockets hold."""
        for name in self._inputs(stage):
            self.links[name].messages.clear()
        for name in self.outputs.get(stage, ()):
            # What had left the sockets arrives.
            messages = self.links[name].messages
            arrived = self.random.randint(0, len(messages))
            while len(messages) > arrived:
                messages.pop()
            self.links[name].is_connected = False
        self.uncommitted = set() if stage == "recorder" else self.uncommitted
        self._start(stage)
        for name in self._inputs(stage):
            self.links[name].is_connected = False

    def _inputs(self, stage: str) -> list[str]:
        return ["display", "pixels"] if stage == "display" else [stage] * (stage != "capture")

    def connect(self) -> None:
        """Connect again what was cut off."""
        for link in self.links.values():
            link.is_connected = True

    def capture(self, stream: str) -> None:
        """Capture a frame."""
        message = builders.frame(self.sequence[stream], stream=stream, run=f"r{self.runs}")
        self.sequence[stream] += 1
        self.captured[stream] += 1
        capture = self.nodes["capture"]
        capture.publisher.send(message)
        capture.metrics.accounts.captured(message.header)

    def step(self, stage: str, count: int = MOST_TAKEN) -> int:
        """Let a stage receive and work; return how many messages it worked on."""
        node = self.nodes[stage]
        for name in self._inputs(stage):
            node.receive(self.links[name], count)
        steps: dict[str, Callable[[Message], list[Message]]] = {
            "detector": lambda message: faces_of(message, self.shards),
            **dict.fromkeys(self.classifiers, emotions_of),
        }
        messages = node.work(steps.get(stage, lambda _: []))
        if stage == "recorder":
            for message in messages:
                header = message.header
                if isinstance(header, Emotion) and header.is_data:
                    row = (header.stream, header.run, header.seq, header.part)
                    assert row not in self.rows | self.uncommitted
                    self.uncommitted.add(row)
        return len(messages)

    def commit(self) -> None:
        """Write the recorder's rows down, with its accounts."""
        self.rows |= self.uncommitted
        self.uncommitted = set()
        self.kept = list(self.nodes["recorder"].metrics.accounts.states())

    def settle(self) -> None:
        """Be quiet until every stage has said its last sums."""
        self.connect()
        self.loss = 0.0
        for _ in range(4):
            self.clock.now += 5
            for stream, count in self.sequence.items():
                sums = builders.frame(0, stream=stream, run=f"r{self.runs}", probe=True, base=count)
                self.nodes["capture"].publisher.send(sums)
            for stage in ("detector", *self.classifiers, "recorder", "display"):
                while self.step(stage):
                    pass
        self.commit()

    def counts(self, path: str) -> list[FrameCounts]:
        scrapes = [node.scrape() for node in self.nodes.values()]
        return [one for one in frame_counts(scrapes) if one.path == path]
