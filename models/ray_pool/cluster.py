"""The Ray cluster: an existing one, or one on this machine only."""

import contextlib
import functools
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.shared.errors import BusError
from emostream.shared.optional_groups import naming_the_group

# Neither faces nor the reports of a batch fill Ray's memory.
OBJECT_STORE_BYTES: Final = 200_000_000
LOOPBACK: Final = "127.0.0.1"
# On a busy machine, Ray's processes may time out waiting for each other.
STARTS: Final = 3
ANSWER_WITHIN_S: Final = 5.0
log = logging.getLogger("emostream")


@contextlib.contextmanager
def cluster(user: str, address: str | None, cpus: int | None = None) -> Iterator[int]:
    """Connect to the cluster at the address, or start one here; give its number of CPUs.

    One that is started here listens on loopback alone, sends no usage statistics, has `cpus` CPUs
    (by default all), and ends with the block. BusError where no cluster answers at the address, or
    none can be started; MissingPackageError, which names the `user`, without Ray. What is printed
    in the block goes nowhere: Ray prints of each process that dies, on its own thread, and on
    stdout.
    """
    if address:
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's output to stderr is for its developers; its logs have it too.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not address:
        # Ray's setting to disable clusters, so that all its processes stay on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    with naming_the_group(user, "ray"):
        import ray
    if address:
        try:
            with muted_stderr():
                ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BusError(f"no Ray cluster at {address}: {error}") from error
    else:
        _start(cpus)
    # Ray prints until it is shut down.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            yield max(1, int(resources.get("CPU", 1)))
        finally:
            ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise BusError if nothing answers at an address; Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise BusError(f"no Ray cluster at {address}: {error}") from error


def _start(cpus: int | None) -> None:
    """Start a cluster on this machine."""
    import ray

    for start in range(1, STARTS + 1):
        try:
            with muted_stderr(), _own_process_groups():
                ray.init(
                    "local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    logging_level=logging.CRITICAL,
                    log_to_driver=False,
                    _node_ip_address=LOOPBACK,
                )
        except Exception as error:  # Ray has no specific exception for this
            if type(error) is not Exception:
                raise
            ray.shutdown()
            if start == STARTS:
                raise BusError(f"Ray does not start on this machine: {error}") from error
            log.warning("Ray did not start, possibly because the machine is too busy; trying again")
        else:
            return


@contextlib.contextmanager
def _own_process_groups() -> Iterator[None]:
    """Let what Ray starts have process groups of its own.

    Honcho signals the whole group of a stage. Ray's processes would then be gone before this one
    leaves them, for which it would wait several seconds without success.
    """
    from ray._private import services

    popen = services.ConsolePopen
    services.ConsolePopen = functools.partial(  # type: ignore[assignment, misc]
        popen, process_group=0
    )
    try:
        yield
    finally:
        services.ConsolePopen = popen  # type: ignore[misc]
