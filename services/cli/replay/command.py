"""`emostream replay`: publishes a recorded session on the bus again."""

import argparse
import contextlib
import logging
import math
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from emostream.services.cli.given_config import given_config
from emostream.services.cli.options import add_config_options, count, positive
from emostream.services.cli.replay.pictures import PicturedStep, frame_message, with_pictures
from emostream.services.cli.replay.schedule import duration, paced, scheduled
from emostream.services.cli.replay.selection import Selection, select
from emostream.services.cli.replay.sent import SentMessages
from emostream.services.cli.replay.steps import step_messages
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, BlockingPublisher, Bus, Publisher
from emostream.shared.config import Config
from emostream.shared.errors import ExitCode
from emostream.shared.messages import Frame, Message
from emostream.shared.progress import ProgressBar

# Subscribers that are already running reconnect within this time: they retry at least every 1.1 s.
SETTLE: Final = 1.2
NS: Final = 10**9
# Options that share a destination need the same default, because argparse uses the first one's.
RECORDED_PACE: Final = 1.0
log = logging.getLogger("emostream")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        "recording", type=Path, metavar="DB|FILE",
        help="emostream.db of a recorder or an analysis, its folder, or a table next to it",
    )  # fmt: skip
    add(
        "--stream",
        action="append",
        default=[],
        metavar="NAME",
        help="only this stream; may be repeated",
    )
    add("--run", dest="run_id", metavar="ID", help="only this run of the capture")
    add("--as", dest="name", default="", metavar="NAME", help="publish the stream under this NAME")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--fast", dest="speed", action="store_const", const=math.inf, default=RECORDED_PACE,
        help="as fast as subscribers accept it",
    )  # fmt: skip
    pace.add_argument(
        "--speed", type=positive(float), default=RECORDED_PACE, metavar="X",
        help="X times the recorded speed",
    )  # fmt: skip
    add("--loop", action="store_true", help="repeat forever, each time as a new run")
    add(
        "--wait", type=count, default=1, metavar="N",
        help="start when N subscribers are connected (default 1; 0: immediately)",
    )  # fmt: skip
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--video", type=Path, metavar="FILE", help="the video of the session")
    pictures.add_argument(
        "--no-video", dest="pictures", action="store_false", help="do not publish pictures"
    )
    add_config_options(parser, example="classifier.bind=tcp://127.0.0.1:6553")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Publish the session once or repeatedly, as soon as the subscribers are connected."""
    config = given_config(options).load()
    selection = select(options)
    with (
        Bus("replay", security=config.security) as bus,
        _publishers(bus, config, selection.pictures, options.speed) as (results, frames),
    ):
        log.info("%s", selection)
        if options.wait:
            _wait_for_subscribers(results, options.wait)

        def send(message: Message) -> None:
            publisher = frames if isinstance(message.header, Frame) else results
            if publisher:
                publisher.send(message)

        while True:
            replay(selection, send, options.speed)
            if not options.loop:
                return ExitCode.OK


def replay(selection: Selection, send: Callable[[Message], None], speed: float) -> None:
    """Call `send` with each message of the session, on time at `speed` times the pace.

    Each recorded run gets a new id, the same in all streams.
    """
    start = f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}"
    runs = {run.id: f"{start}-{number}" for number, run in enumerate(selection.runs)}
    sent = SentMessages()
    with ArchiveReader(selection.path) as reader, _progress(reader, selection) as show:
        for at, pictured in paced(_pictured_steps(reader, selection), speed):
            stream, run = selection.name or pictured.step.run.stream, runs[pictured.step.run.id]
            for message in _messages(pictured, reader.labels, stream, run):
                if selection.pictures or not isinstance(message.header, Frame):
                    send(message)
                    sent.add(message)
            show(at, sent)
    log.info("replayed %s", sent)


@contextlib.contextmanager
def _progress(
    reader: ArchiveReader, selection: Selection
) -> Iterator[Callable[[int, SentMessages], None]]:
    """Yield a function that shows the time in the session (ns) and the number of messages sent."""
    if not sys.stderr.isatty():
        # Computing the duration reads every row, which is useless if nobody watches.
        yield lambda at, sent: None
        return
    with ProgressBar("replaying", duration(reader, selection.runs) // NS, "s") as bar:
        yield lambda at, sent: bar.update(at // NS, note=f"{sent.total:,} messages")


def _messages(
    pictured: PicturedStep, labels: tuple[str, ...], stream: str, run: str
) -> Iterator[Message]:
    """Yield all messages of a step, as captured now: picture, events, and emotions."""
    t = time.time_ns()
    frame = frame_message(pictured, stream, run, t)
    if frame:
        yield frame
    yield from step_messages(pictured.step, labels, stream, run, t)


def _pictured_steps(
    reader: ArchiveReader, selection: Selection
) -> Iterator[tuple[int, PicturedStep]]:
    due = scheduled(reader, selection.runs)
    if not selection.pictures:
        return ((at, PicturedStep(step)) for at, step in due)
    return with_pictures(due, lambda run: selection.open_pictures(reader, run))


@contextlib.contextmanager
def _publishers(
    bus: Bus, config: Config, pictures: bool, speed: float
) -> Iterator[tuple[BlockingPublisher, Publisher | None]]:
    """Open the addresses of classifier and capture; after an error, pending messages are lost."""
    with contextlib.ExitStack() as stack:
        results = bus.blocking_publisher(config.classifier.bind, RESULTS_HWM, "classifier.bind")
        stack.push(_closing(results))
        frames: Publisher | None = None
        if pictures:
            # At its own pace, a slow page misses pictures, as in live delivery.
            make = bus.blocking_publisher if speed == math.inf else bus.publisher
            frames = make(config.capture.bind, LIVE_HWM, "capture.bind")
            stack.push(_closing(frames))
        yield results, frames


def _closing(
    publisher: Publisher,
) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
    def close(kind: type[BaseException] | None, *_: object) -> None:
        publisher.close(None if kind is None else 0)

    return close


def _wait_for_subscribers(publisher: BlockingPublisher, count: int) -> None:
    log.info(
        "waiting for %s at %s (emostream subscribe, display, recorder; --wait 0 does not wait)",
        "a subscriber" if count == 1 else f"{count} subscribers",
        publisher.endpoint,
    )
    while publisher.subscribers(SETTLE) < count:
        pass
