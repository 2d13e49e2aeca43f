"""Jinja templates for HTML: values are escaped, and a missing name is an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from emostream.shared.plural import counted


def templates(folder: Path, **filters: Callable[..., Any]) -> jinja2.Environment:
    """Return the templates in a folder, with these filters and `counted`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"counted": counted, **filters}
    return environment
