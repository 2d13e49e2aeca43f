"""The columns of result tables: value types, and their CSV format."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeAlias

from msgspec.structs import astuple

from emostream.shared.messages import LeftOut, Quality

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Value, ...]

NS: Final = 1_000_000_000


class Kind(Enum):
    """The type of a column's values.

    SECONDS and MOMENT are integer ns in a row: source time, and time since the epoch.
    """

    TEXT = "text"
    COUNT = "count"
    SECONDS = "seconds"
    MOMENT = "moment"
    PIXELS = "pixels"
    DEGREES = "degrees"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; None is an empty cell in each kind."""

    name: str
    kind: Kind

    @property
    def text(self) -> Callable[[Any], str]:
        """The function that formats a value for a cell, deterministically."""
        return _TEXTS[self.kind]


def _seconds(ns: int) -> str:
    whole, rest = divmod(abs(ns), NS)
    return f"{'-' if ns < 0 else ''}{whole}.{rest:09}"


def _moment(ns: int) -> str:
    whole, rest = divmod(ns, NS)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


# Pixels and shares are estimates: more decimals would take space without adding information.
_TEXTS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: str,
    Kind.COUNT: str,
    Kind.SECONDS: _seconds,
    Kind.MOMENT: _moment,
    Kind.PIXELS: "{:.3f}".format,
    Kind.DEGREES: "{:.2f}".format,
    Kind.SHARE: "{:.6f}".format,
}

# A face's columns in each table: box, detection score, label, and quality.
FACE: Final = (
    *(Column(name, Kind.PIXELS) for name in ("x", "y", "width", "height")),
    Column("detection_score", Kind.SHARE),
    Column("label", Kind.TEXT),
    Column("confidence", Kind.SHARE),
    Column("size_px", Kind.PIXELS),
    *(Column(name, Kind.SHARE) for name in ("sharpness", "brightness", "contrast", "noise")),
    *(Column(name, Kind.DEGREES) for name in ("yaw", "pitch", "roll")),
    *(Column(name, Kind.SHARE) for name in ("cut", "quality")),
    Column("left_out", Kind.TEXT),
)


def face_values(
    label: str, confidence: float | None, quality: Quality | None, left_out: LeftOut
) -> Row:
    """Return a row's values of FACE from the label on.

    A face that is left out has no label or confidence; any other has nothing in `left_out`.
    """
    measures = astuple(quality) if quality else (None,) * len(Quality.__struct_fields__)
    return (label or None, None if left_out else confidence, *measures, left_out or None)
