"""The Ray cluster: an existing one, or one on this machine only."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.shared.errors import BusError
from emostream.shared.optional_groups import naming_the_group

# Results are files; only reports go through Ray's object store.
OBJECT_STORE_BYTES: Final = 200_000_000
LOOPBACK: Final = "127.0.0.1"
# On a busy machine, Ray's processes may time out waiting for each other.
STARTS: Final = 3
log = logging.getLogger("emostream")


@contextlib.contextmanager
def cluster(address: str | None, cpus: int | None) -> Iterator[int]:
    """Connect to the cluster at the address, or start one here; yield its number of CPUs.

    A cluster started here listens only on loopback, sends no usage statistics, has `cpus` CPUs (by
    default all), and ends with the block. Raises BusError if no cluster answers at the address, or
    if none can be started. Output within the block is discarded, because Ray prints about each
    process that dies, on its own thread and to stdout.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's output to stderr is for its developers; its logs have it too.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not address:
        # Ray's setting to disable clusters, so that all its processes stay on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    with naming_the_group("emostream batch", "ray"):
        import ray
        from ray.data import DataContext
    if address:
        try:
            with muted_stderr():
                ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BusError(f"no Ray cluster at {address}: {error}") from error
    else:
        _start(cpus)
    # Ray prints until it is shut down
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            context = DataContext.get_current()
            context.enable_progress_bars = False
            context.print_on_execution_start = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            yield max(1, int(resources.get("CPU", 1)))
        finally:
            ray.shutdown()


def _start(cpus: int | None) -> None:
    """Start a cluster on this machine."""
    import ray

    for start in range(1, STARTS + 1):
        try:
            with muted_stderr():
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
