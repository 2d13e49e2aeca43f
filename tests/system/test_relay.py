"""A relay process joins sources, reports their state, and survives the restart of one."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from emostream.shared.bus import Bus, Publisher, Subscription
from emostream.shared.messages import Message
from emostream.shared.scraping import scrape
from tests import builders
from tests.conftest import fail_with
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage

TOPICS = ("emotion/", "event/")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def source(stack: ExitStack, endpoint: str = "tcp://127.0.0.1:*") -> Publisher:
    """Return a publisher that has its own bus, and so its own name."""
    bus = stack.enter_context(Bus("classifier"))
    return stack.enter_context(closing(bus.publisher(endpoint, 0)))


def endpoint_of(relay: Stage) -> str:
    found = re.search(r"republishing .* on (tcp://\S+)", relay.text())
    assert found, relay.text()
    return found[1]


def test_a_relay_joins_its_sources_and_says_which_is_gone(stack: ExitStack, tmp_path: Path) -> None:
    sources = {"a": source(stack), "b": source(stack)}
    endpoints = ",".join(f'"{each.endpoint}"' for each in sources.values())
    settings = (f"relay.connect=[{endpoints}]", "relay.bind=tcp://127.0.0.1:*")
    relay = stack.enter_context(closing(Stage("relay", tmp_path / "log", *settings)))
    wait_until(lambda: relay.get("/readyz")[0] == 200, "the relay to be ready", 20)
    came: list[Message] = []
    bus = stack.enter_context(Bus("recorder"))
    subscription = Subscription([endpoint_of(relay)], TOPICS, 0)
    stack.enter_context(closing(bus.receiver([subscription], came.append, fail_with)))

    def heard() -> set[tuple[str, str]]:
        for stream, publisher in sources.items():
            publisher.send(builders.frame(0, stream=stream, width=1, height=1))
            publisher.send(Message(builders.emotion(stream=stream)))
        time.sleep(0.01)
        return {(message.header.stream, message.header.publisher) for message in came}

    def streams(number: int) -> Callable[[], bool]:
        return lambda: len(heard()) == number

    wait_until(streams(2), "both sources to be heard", 20)
    gone = sources.pop("b")
    gone.close(0)

    def names_it() -> bool:
        status, body = relay.get("/readyz")
        return status == 503 and f"{gone.endpoint} is not connected" in body

    wait_until(names_it, "the relay to say which source is gone", 20)
    came.clear()
    wait_until(streams(1), "the other source to continue", 20)
    sources["b"] = source(stack, gone.endpoint)
    wait_until(streams(2), "its successor to be heard", 20)
    wait_until(lambda: relay.get("/readyz")[0] == 200, "the relay to be ready again", 20)
    page = scrape(f"{relay.url()}/metrics")
    assert not isinstance(page, str)
    # Nobody asked for frames.
    assert page.values("emostream_relay_messages_total", "topic") == {"emotion"}
    assert page.total("emostream_relay_subscriptions") == len(TOPICS)
