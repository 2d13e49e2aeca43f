"""`emostream subscribe`: prints events, and optionally emotions, as they arrive."""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime

import msgspec
from rich.console import Console
from rich.text import Text

from emostream.services.cli.given_config import given_config
from emostream.services.cli.numbered_faces import NumberedFaces
from emostream.services.cli.options import add_config_options, positive
from emostream.shared.bus import Bus, Subscription
from emostream.shared.duplicates import Duplicates
from emostream.shared.errors import ConfigError, ExitCode, MessageError
from emostream.shared.fields import STREAM_PATTERN
from emostream.shared.inbox import FifoInbox, Inbox
from emostream.shared.left_out import WORDS
from emostream.shared.messages import Emotion, EmotionFace, Event, Message

HINT_AFTER = 5.0
HWM = 1000
TAKE_AT_MOST = 100
STYLES = {"enter": "green", "change": "yellow", "leave": "dim"}
log = logging.getLogger("emostream")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument(
        "--endpoint",
        action="append",
        metavar="ADDRESS",
        help="where a classifier publishes; may be repeated (default: connect.emotion)",
    )
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    parser.add_argument(
        "--emotions", action="store_true", help="also print the result of every frame"
    )
    parser.add_argument("--count", type=positive(int), metavar="N", help="stop after N messages")
    parser.add_argument(
        "--timeout",
        type=positive(float),
        metavar="S",
        help="stop after S seconds; exit code 1 if fewer than --count messages arrived",
    )
    add_config_options(parser, example="connect.emotion=['tcp://127.0.0.1:6553']")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print messages until enough have arrived, the time is over, or the output is closed."""
    if options.stream is not None and not STREAM_PATTERN.fullmatch(options.stream):
        raise ConfigError(f"--stream {options.stream}: a stream's name is like cam1 or door_2")
    config = given_config(options).load()
    endpoints = tuple(options.endpoint or config.connect.emotion)
    kinds = ("event", "emotion") if options.emotions else ("event",)
    suffix = f"{options.stream}/" if options.stream else ""
    subscription = Subscription(endpoints, [f"{kind}/{suffix}" for kind in kinds], HWM)
    format_line = (
        _as_json if options.json else _line_formatter(Console(highlight=False, soft_wrap=True))
    )
    inbox, duplicates = FifoInbox(), Duplicates()

    def deliver(message: Message) -> None:
        if not duplicates.has(message.header):
            inbox.put(message)

    with suppress(KeyboardInterrupt), Bus("subscribe", security=config.security) as bus:
        with closing(bus.receiver([subscription], deliver, _warn_once())):
            messages = listen(inbox, options.timeout, lambda: _hint(endpoints, options))
            return print_all(messages, format_line, options.count)
    return ExitCode.OK


def listen(
    inbox: Inbox,
    timeout: float | None,
    hint: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Message]:
    """Yield messages within `timeout` seconds; `hint` is called once after 5 s without any."""
    started = clock()
    end = float("inf") if timeout is None else started + timeout
    hint_at = started + HINT_AFTER
    while (now := clock()) < end:
        wait = min(end, hint_at) - now
        # An endless wait cannot be interrupted on every system.
        messages = inbox.take(TAKE_AT_MOST, min(wait, 1.0))
        if messages:
            hint_at = float("inf")
        elif clock() >= hint_at:
            hint_at = float("inf")
            hint()
        yield from (message for message in messages if message.header.is_data)


def print_all(
    messages: Iterator[Message], format_line: Callable[[Message], str], count: int | None
) -> ExitCode:
    """Print one line per message, flushed; return OK, or FAILURE for fewer than `count`."""
    for number, message in enumerate(messages, 1):
        try:
            print(format_line(message), flush=True)
        except BrokenPipeError:
            _discard_stdout()
            return ExitCode.OK
        if number == count:
            return ExitCode.OK
    return ExitCode.FAILURE if count else ExitCode.OK


def line(message: Message, numbered: NumberedFaces) -> Text:
    """Return the message as one styled line, with each face by its number."""
    header = message.header
    when = datetime.fromtimestamp(header.t / 1e9)
    text = Text(f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}  {header.stream:<10}  ")
    if isinstance(header, Event):
        arrow = f"{header.previous} -> " if header.kind == "change" else ""
        text.append(f"#{numbered.number(header, header.track):<4}  ")
        text.append(f"{header.kind:<7}", STYLES[header.kind])
        text.append(f"  {arrow + header.label:<24}  {header.confidence:4.0%}")
    elif isinstance(header, Emotion):
        faces = ", ".join(_face(face, numbered.number(header, face.track)) for face in header.faces)
        part = f"part {header.part + 1} of {header.parts}  " if header.parts > 1 else ""
        text.append(f"frame {header.seq:<7}{part}", "cyan")
        text.append("  the model fails" if header.degraded else f"  {faces or 'no face'}")
    if isinstance(header, Event | Emotion) and header.standby:
        text.append("  (standby)", "dim")
    return text


def _face(face: EmotionFace, number: int) -> str:
    if face.left_out:
        return f"#{number} left out: {WORDS[face.left_out]}"
    return f"#{number} {face.label} {face.confidence:.0%}"


def _line_formatter(console: Console) -> Callable[[Message], str]:
    numbered = NumberedFaces()

    def format_line(message: Message) -> str:
        with console.capture() as capture:
            console.print(line(message, numbered), end="")
        return capture.get()

    return format_line


def _as_json(message: Message) -> str:
    # The stages' states are only for the stages.
    header = msgspec.structs.replace(message.header, states={})
    return json.dumps({"topic": message.topic, **msgspec.to_builtins(header)})


def _hint(endpoints: tuple[str, ...], options: argparse.Namespace) -> None:
    what = "" if options.emotions else "no face entered, changed or left (see --emotions), or "
    stream = f", and that a stream is named {options.stream}" if options.stream else ""
    print(
        f"nothing for {HINT_AFTER:g} s: {what}no classifier publishes there. "
        f"Check that one runs at {', '.join(endpoints)} (emostream top){stream}.",
        file=sys.stderr,
        flush=True,
    )


def _warn_once() -> Callable[[MessageError], None]:
    warned = False

    def warn(error: MessageError) -> None:
        nonlocal warned
        if not warned:
            warned = True
            log.warning("ignored a message that violates the wire format: %s", error)

    return warn


def _discard_stdout() -> None:
    # Python flushes stdout once more at its end, which would complain about the closed pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
