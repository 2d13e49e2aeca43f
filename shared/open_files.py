"""How many files and sockets this process may have open."""

import contextlib
import resource
from typing import Final

# Far more than any process here needs, and few enough for programs that walk over all of them.
ENOUGH: Final = 8192


def raise_open_files_limit() -> None:
    """Raise the limit of open files to what the system allows, `ENOUGH` at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS refuses more than its own limit, whatever the hard one says.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files_limit() -> int:
    """Return how many files this process may have open; `ENOUGH` where there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else soft
