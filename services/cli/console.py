"""The console that commands print their tables to."""

import os
from typing import Final

from rich.console import Console

PLAIN_WIDTH: Final = 120  # where there is no terminal to fit, as in a log or a pipe


def table_console(plain_width: int = PLAIN_WIDTH) -> Console:
    """Return a console that leaves brackets and figures as they are."""
    console = Console(highlight=False, markup=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, markup=False, width=plain_width)
