"""The bus: ZeroMQ XPUB and SUB sockets that carry messages."""

from emostream.shared.bus.publisher import BlockingPublisher, Publisher
from emostream.shared.bus.receiver import Receiver
from emostream.shared.bus.sockets import (
    LIVE_HWM,
    MAX_SUBSCRIPTION_BYTES,
    RESULTS_HWM,
    Bus,
    Subscription,
)

__all__ = [
    "LIVE_HWM",
    "MAX_SUBSCRIPTION_BYTES",
    "RESULTS_HWM",
    "BlockingPublisher",
    "Bus",
    "Publisher",
    "Receiver",
    "Subscription",
]
