"""Answering on the port of a stage's metrics while the stage is down, so that all can see that."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

log = logging.getLogger("emostream.supervise")


@contextlib.contextmanager
def answer_as_down(
    stage: str, host: str, port: int, reason: str, allowed_hosts: Sequence[str]
) -> Iterator[None]:
    """Answer for the stage as one that is down, while the context lasts.

    Where another program has the port, that goes on to answer.
    """
    # Imported here: few supervisors ever serve a page, and it takes 10 MB.
    from prometheus_client import CollectorRegistry

    from emostream.shared.errors import BusError
    from emostream.shared.health import Health
    from emostream.shared.metrics import MetricsServer, StageMetrics

    registry = CollectorRegistry()
    StageMetrics(stage, registry).down.set(1)
    health = Health(silent_after=0)
    health.set_down(reason)
    try:
        server = MetricsServer(stage, host, port, registry, health, allowed_hosts)
    except BusError as error:
        log.debug("cannot say on the metrics port that it is down: %s", error)
        yield
        return
    try:
        yield
    finally:
        server.close()
