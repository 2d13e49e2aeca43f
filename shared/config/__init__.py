"""The configuration: a TOML file, checked whole; every key has a default that works."""

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
