"""The stages, in the order in which a frame passes them, and what each of them does."""

from typing import Final

STAGES = {
    "capture": "reads pictures from cameras, files, URLs or the demo",
    "detector": "finds, aligns and tracks faces",
    "classifier": "classifies the expression of each face",
    "recorder": "stores video, observations and events",
    "display": "serves the web page",
}
# They run where somebody starts them, besides the stages.
OPTIONAL_STAGES: Final = {
    "relay": "republishes several classifiers or captures at one address",
}
ALL_STAGES: Final = STAGES | OPTIONAL_STAGES
