"""The limit on this process's open files and sockets."""

import contextlib
import resource
from typing import Final

# Far more than any process here needs, and few enough for programs that iterate over all of them.
ENOUGH: Final = 8192


def raise_open_files_limit() -> None:
    """Raise the limit on open files to what the system allows, at most to `ENOUGH`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS refuses more than its own limit, whatever the hard limit is.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files_limit() -> int:
    """Return how many files this process may open; `ENOUGH` if there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else soft
