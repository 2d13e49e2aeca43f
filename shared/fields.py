"""Types of fields that messages, configuration and models share."""

import re
from typing import Annotated

from msgspec import Meta

STREAM_PATTERN = re.compile(r"[a-z0-9_-]{1,64}")

Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
StreamName = Annotated[str, Meta(pattern=f"^{STREAM_PATTERN.pattern}$")]
