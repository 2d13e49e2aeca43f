"""Compares the clocks of the hosts that the stages connect to with this host's."""

import contextlib
import time
from collections.abc import Sequence
from typing import Final

from emostream.services.cli.doctor.finding import Finding, good, warning
from emostream.shared.addresses import is_local
from emostream.shared.bus import Bus, Subscription
from emostream.shared.clocks import Clocks, Offset, offset_text
from emostream.shared.config import Config
from emostream.shared.errors import EmostreamError
from emostream.shared.security import stage_endpoints

MEASURE_S: Final = 2.0
# Beyond this, times written by two hosts differ by more than a frame or two.
FAR_OFF_S: Final = 0.1


def findings(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Measure the clock of each other host, skipping hosts for which a key is missing."""
    try:
        endpoints = [stage_endpoints(config, stage) for stage in stages]
        # Endpoints that these stages bind themselves are not up yet, and have this host's clock.
        connected = {each for _, others in endpoints for each in others}
        connected -= {bound for bound, _ in endpoints}
        far = sorted(endpoint for endpoint in connected if not is_local(endpoint))
        measured = _measured(config, far) if far else {}
    except EmostreamError:
        return []  # a missing key or address, which is another finding
    return [check(endpoint, offset) for endpoint, offset in measured.items()]


def check(endpoint: str, offset: Offset | None) -> Finding:
    """Check the clock of an endpoint; None if it did not answer."""
    if offset is None:
        return warning(
            "clocks",
            f"{endpoint} does not answer",
            "start the publisher; if it is running, make sure that this host can reach the port, "
            "and compare emostream keys list and show on both hosts",
        )
    seconds, uncertainty = offset.ns / 1e9, offset.uncertainty / 1e9
    if offset.is_ours:
        return good("clocks", f"{endpoint} has the same time (± {1000 * uncertainty:.1f} ms)")
    found = f"{endpoint} is {offset_text(seconds, uncertainty)}"
    if abs(seconds) < FAR_OFF_S:
        return good("clocks", found)
    return warning(
        "clocks",
        found,
        "synchronize both hosts with NTP: latencies are corrected, but recordings use the time of "
        "the camera host",
    )


def _measured(config: Config, endpoints: Sequence[str]) -> dict[str, Offset | None]:
    clocks = {endpoint: Clocks() for endpoint in endpoints}
    with contextlib.ExitStack() as stack:
        bus = stack.enter_context(Bus("doctor", security=config.security))
        for endpoint, its in clocks.items():
            subscription = Subscription([endpoint], [], 1)
            receiver = bus.receiver([subscription], lambda _: None, lambda _: None, clocks=its)
            stack.enter_context(contextlib.closing(receiver))
        time.sleep(MEASURE_S)
    return {
        endpoint: min(
            (offset for _, _, offset in its.measured()),
            key=lambda offset: offset.uncertainty,
            default=None,
        )
        for endpoint, its in clocks.items()
    }
