"""The bus: ZeroMQ XPUB and SUB sockets that carry messages."""

from emostream.shared.bus.connecting import Subscription
from emostream.shared.bus.publisher import BlockingPublisher, Publisher
from emostream.shared.bus.receiver import Receiver
from emostream.shared.bus.relay import Passed, Relay
from emostream.shared.bus.socket_options import MAX_SUBSCRIPTION_BYTES
from emostream.shared.bus.sockets import LIVE_HWM, RESULTS_HWM, Bus, frames_hwm

__all__ = [
    "LIVE_HWM",
    "MAX_SUBSCRIPTION_BYTES",
    "RESULTS_HWM",
    "BlockingPublisher",
    "Bus",
    "Passed",
    "Publisher",
    "Receiver",
    "Relay",
    "Subscription",
    "frames_hwm",
]
