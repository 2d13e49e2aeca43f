"""Checks that the relay's sources are listening."""

import contextlib
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from emostream.services.cli.doctor.finding import Finding, good, warning
from emostream.shared.addresses import TCP

ANSWER_WITHIN_S: Final = 1.0


def findings(endpoints: Sequence[str]) -> list[Finding]:
    """Look for a listener at each endpoint, in parallel."""
    with ThreadPoolExecutor(len(endpoints)) as pool:
        return list(pool.map(_finding, endpoints))


def _finding(endpoint: str) -> Finding:
    failure = _failure(endpoint)
    if not failure:
        return good("relay", f"{endpoint} listens")
    return warning(
        "relay",
        f"{endpoint} does not answer: {failure}",
        "start the publisher, or change relay.connect; the relay connects once it is up",
    )


def _failure(endpoint: str) -> str:
    """Return why the endpoint cannot be reached; "" if it can."""
    match = TCP.fullmatch(endpoint)
    try:
        if match:
            address = (match["host"].strip("[]"), int(match["port"]))
            socket.create_connection(address, ANSWER_WITHIN_S).close()
        else:
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as trial:
                trial.settimeout(ANSWER_WITHIN_S)
                trial.connect(endpoint.removeprefix("ipc://"))
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeError:
        return "its host name is not valid"
    return ""
