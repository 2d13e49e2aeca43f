"""What tests with real sockets share."""

import pytest

from emostream.shared.bus import Bus


@pytest.fixture
def publisher():
    with Bus("test") as bus:
        publisher = bus.publisher("tcp://127.0.0.1:*", 0)
        yield publisher
        publisher.close()
