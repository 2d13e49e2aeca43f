"""Field types that messages, configuration and models share."""

import re
from typing import Annotated

from msgspec import Meta

STREAM_PATTERN = re.compile(r"[a-z0-9_-]{1,64}")
# The largest integer that JavaScript, which also reads headers, represents exactly.
LARGEST_COUNT = 2**53 - 1
LARGEST_NS = 2**63 - 1  # the year 2262; the maximum of SQLite
MOST_PARTS = 1024
# Per message: a classifier processes all of them in one iteration of its loop.
MOST_FACES = 1024
# Names the file, whose path alone may have 4,096 bytes.
LONGEST_REASON = 8192

Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
# For messages, which anybody may have written: nothing may grow with such a number.
Number = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Nanoseconds = Annotated[int, Meta(ge=0, le=LARGEST_NS)]
Pts = Annotated[int, Meta(ge=-LARGEST_NS, le=LARGEST_NS)]
Part = Annotated[int, Meta(ge=0, lt=MOST_PARTS)]
Parts = Annotated[int, Meta(ge=1, le=MOST_PARTS)]
# The longest side of a JPEG.
Side = Annotated[int, Meta(ge=1, le=65_535)]
# Face crops have 64 x 64 pixels; a model may need larger ones.
CropSide = Annotated[int, Meta(ge=1, le=1024)]
RunName = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=256)]
Reason = Annotated[str, Meta(max_length=LONGEST_REASON)]
# With room for rounding in models; excludes NaN and infinities.
Share = Annotated[float, Meta(ge=-0.02, le=1.02)]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Positive = Annotated[float, Meta(gt=0)]
# Describes what a pattern allows, with an example, because people do not read patterns.
ALLOWED = "allowed"
StreamName = Annotated[
    str,
    Meta(
        pattern=f"^{STREAM_PATTERN.pattern}$",
        extra={ALLOWED: "1 to 64 lowercase letters, digits, - and _, for example door_2"},
    ),
]
