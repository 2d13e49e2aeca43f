"""The stages, in pipeline order, and their descriptions."""

from typing import Final

STAGES = {
    "capture": "reads pictures from cameras, files, URLs or the demo",
    "detector": "finds, aligns and tracks faces",
    "classifier": "classifies the expression of each face",
    "recorder": "stores video, observations and events",
    "display": "serves the web page",
}
# Optional processes, started separately.
OPTIONAL_STAGES: Final = {
    "relay": "republishes several classifiers or captures at one address",
}
ALL_STAGES: Final = STAGES | OPTIONAL_STAGES
