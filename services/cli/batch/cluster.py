"""The Ray cluster that a batch works on, with Ray Data kept quiet."""

import contextlib
import logging
from collections.abc import Iterator

from emostream.models.ray_pool.cluster import cluster as any_cluster
from emostream.shared.optional_groups import naming_the_group


@contextlib.contextmanager
def cluster(address: str | None, cpus: int | None) -> Iterator[int]:
    """Connect to the cluster at the address, or start one here; see `models.ray_pool.cluster`."""
    with naming_the_group("emostream batch", "ray"):
        from ray.data import DataContext
    with any_cluster("emostream batch", address, cpus) as found:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield found
