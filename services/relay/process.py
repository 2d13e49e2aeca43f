"""The relay's process."""

import logging
from typing import Final

from emostream.services.relay.metrics import RelayMetrics
from emostream.shared.bus import Relay
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.health import Health
from emostream.shared.messages import Emotion
from emostream.shared.plural import counted
from emostream.shared.service import Service

WAIT_S: Final = 0.2
LOOP: Final = (
    "gets its messages from this relay, so nothing of it is passed on: remove it from relay.connect"
)
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Forward the sources' messages until stopped."""
    check_delivery(config)
    settings = config.relay
    with Service("relay", config, settings.metrics, Emotion, instance) as service:
        metrics = RelayMetrics(service.registry, settings.connect)
        relay = service.relay(settings.connect, settings.bind, settings.queue)
        sources = counted(len(settings.connect), "source")
        log.info("republishing %s on %s", sources, relay.publisher.endpoint)
        while not service.stop.is_set():
            _tell_connected(relay, metrics, service.health)
            service.check_health()
            for passed in relay.work(WAIT_S):
                if passed.is_passed:
                    metrics.count(passed)
                else:
                    service.metrics.bad("parts")
            metrics.subscriptions.set(len(relay.topics))


def check_delivery(config: Config) -> None:
    """Raise ConfigError for lossless delivery, because a relay's queues are limited."""
    if config.delivery == "lossless":
        raise ConfigError(
            'relay: a relay may lose messages, so it cannot run with delivery = "lossless"'
        )


def _tell_connected(relay: Relay, metrics: RelayMetrics, health: Health) -> None:
    loops = relay.loops()
    for source, is_connected in relay.connected().items():
        metrics.set_connected(source, is_connected=is_connected)
        if source in loops:
            health.set_missing(f"source {source}", f"{source} {LOOP}")
        elif is_connected:
            health.clear_missing(f"source {source}")
        else:
            health.set_missing(f"source {source}", f"{source} is not connected")
