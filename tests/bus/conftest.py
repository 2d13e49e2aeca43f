"""What tests with real sockets share."""

from collections.abc import Iterator

import pytest

from emostream.shared.bus import Bus, Publisher


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Bus("test") as bus:
        publisher = bus.publisher("tcp://127.0.0.1:*", 0)
        yield publisher
        publisher.close()
