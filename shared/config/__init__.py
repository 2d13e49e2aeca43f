"""The configuration: a TOML file, validated as a whole; every key has a working default."""

from emostream.shared.config.loading import load
from emostream.shared.config.schema import (
    Capture,
    Classifier,
    Config,
    Connect,
    Detector,
    Display,
    Live,
    Lossless,
    Recorder,
    Section,
    Security,
    Source,
)

__all__ = [
    "Capture",
    "Classifier",
    "Config",
    "Connect",
    "Detector",
    "Display",
    "Live",
    "Lossless",
    "Recorder",
    "Section",
    "Security",
    "Source",
    "load",
]
