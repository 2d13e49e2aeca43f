"""What a terminal shows of what rich is given."""

import io

from rich.console import Console, RenderableType


def printed(renderable: RenderableType, width: int = 150) -> str:
    """Return the plain text of a terminal that is so many characters wide."""
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()
