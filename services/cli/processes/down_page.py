"""Answers on a stage's metrics port while the stage is down, to report that."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emostream.shared.http_access import HttpAccess

log = logging.getLogger("emostream.supervise")


@contextlib.contextmanager
def answer_as_down(
    stage: str, host: str, port: int, reason: str, find_access: Callable[[], "HttpAccess"]
) -> Iterator[None]:
    """Report that the stage is down, while the context lasts.

    If another program uses the port, that program keeps answering. `find_access` returns the access
    rules; if its token or certificate is unusable, nothing is reported.
    """
    # Imported here: few supervisors ever need it, and it takes 10 MB.
    from prometheus_client import CollectorRegistry

    from emostream.shared.errors import BusError, ConfigError
    from emostream.shared.health import Health
    from emostream.shared.metrics import StageMetrics
    from emostream.shared.metrics_server import MetricsServer

    registry = CollectorRegistry()
    metrics = StageMetrics(stage, registry)
    metrics.down.set(1)
    health = Health(silent_after=0)
    health.set_down(reason)
    try:
        access = find_access()
        metrics.certificates.add("metrics", access.certificate)
        count = metrics.wrong_token_counter("metrics")
        server = MetricsServer(stage, host, port, registry, health, access, count)
    except (BusError, ConfigError) as error:
        log.debug("cannot report on the metrics port that it is down: %s", error)
        yield
        return
    try:
        yield
    finally:
        server.close()
