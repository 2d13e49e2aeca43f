"""What a relay asks its sources for, by what its subscribers ask for."""

import socket
from collections.abc import Iterator

import pytest

from emostream.shared.wanted_topics import MOST_BYTES, WantedTopics


@pytest.fixture
def descriptors() -> Iterator[tuple[int, int]]:
    one, other = socket.socketpair()
    with one, other:
        yield one.fileno(), other.fileno()


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ([], set()),
        (["emotion/", "event/"], {"emotion/", "event/"}),
        (["event/", "event/"], {"event/"}),
        # A source may refuse what is wider, and give the rest.
        (["emotion/", "", "event/"], {"emotion/", "", "event/"}),
        (["frame/", "once/a-1/frame/"], {"frame/", "once/a-1/frame/"}),
        (["", "once/a-1/frame/"], {"", "once/a-1/frame/"}),
    ],
)
def test_what_was_asked_for_is_needed(
    asked: list[str], needed: set[str], descriptors: tuple[int, int]
) -> None:
    wanted = WantedTopics()
    for topic in asked:
        assert wanted.add(topic, descriptors[0]) is None
    assert wanted.needed() == needed


def test_a_topic_is_needed_until_nobody_asks_for_it(descriptors: tuple[int, int]) -> None:
    wanted = WantedTopics()
    for descriptor in descriptors:
        wanted.add("event/", descriptor)
    # As if by one that never asked.
    wanted.remove("event/", 1)
    wanted.remove("event/", descriptors[0])
    assert wanted.needed() == {"event/"}
    wanted.remove("event/", descriptors[1])
    wanted.remove("event/", descriptors[1])
    assert not wanted.needed()


def test_what_ended_connections_asked_for_is_not_needed() -> None:
    wanted = WantedTopics()
    one, other = socket.socketpair()
    with other:
        with one:
            wanted.add("frame/", one.fileno())
            wanted.add("event/", one.fileno())
            wanted.add("event/", other.fileno())
        wanted.forget_ended()
        assert wanted.needed() == {"event/"}


def test_beyond_what_a_publisher_allows_the_one_who_asks_for_the_most_is_ended(
    descriptors: tuple[int, int],
) -> None:
    wanted = WantedTopics()
    modest, greedy = descriptors
    wanted.add("event/", modest)
    ended = [wanted.add(f"{'x' * 1000}{n}", greedy) for n in range(MOST_BYTES // 1000)]
    assert set(ended) == {None, greedy}
    assert "event/" in wanted.needed()
    # The one to go is not the one that asks last, but the one that asks for the most.
    ended = [wanted.add(f"{'y' * 1000}{n}", modest) for n in range(MOST_BYTES // 4000)]
    ended += [wanted.add(f"{'z' * 1000}{n}", greedy) for n in range(MOST_BYTES // 1500)]
    ended = [wanted.add(f"{'w' * 1000}{n}", modest) for n in range(MOST_BYTES // 4000)]
    assert set(ended) == {None, greedy}
    assert sum("w" in topic or "y" in topic for topic in wanted.needed()) == len(ended) * 2
