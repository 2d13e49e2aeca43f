"""The errors that a user can cause, each with one line that says what to do.

With exit codes 2 to 4 starting again would not help, so the supervisor does not.

EmostreamError            exit 1
├── ConfigError           exit 2: configuration, command line, a refused bind
│   └── MissingPackageError  a package of an optional group is not installed
├── BusError              exit 3: an address in use or malformed
├── MessageError          a message that breaks the wire format
├── SourceError           a camera, file or URL that gives no pictures
├── ModelError            faces of a wrong shape or type, a model that does not load
│   └── WeightsError      exit 3: weights that are missing or corrupt
├── RecordingError        a recording that cannot be written or read
└── DeliveryError         exit 4: lossless delivery came to a stop
"""


class EmostreamError(Exception):
    """Base of every error with a message meant for the user."""

    exit_code = 1


class ConfigError(EmostreamError):
    """The configuration or the command line cannot be used."""

    exit_code = 2


class MissingPackageError(ConfigError, ImportError):
    """A package is not installed; the message says which optional group brings it."""


class BusError(EmostreamError):
    """A socket cannot be opened."""

    exit_code = 3


class MessageError(EmostreamError):
    """A message does not follow the wire format; `reason` is short and countable."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class SourceError(EmostreamError):
    """A source of pictures cannot be opened or read."""


class ModelError(EmostreamError):
    """A model cannot be loaded, or was given faces that it cannot take."""


class WeightsError(ModelError):
    """Weights are missing, or their sha256 is not the one expected."""

    exit_code = 3


class RecordingError(EmostreamError):
    """A recording cannot be written or read."""


class DeliveryError(EmostreamError):
    """Lossless delivery came to a stop: a stage hangs, or is gone for good."""

    exit_code = 4
