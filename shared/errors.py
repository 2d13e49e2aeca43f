"""The exit codes, and the errors that a user can cause, each with one line that says what to do.

EmostreamError            FAILURE
├── ConfigError           USAGE: configuration, command line, a refused bind
│   └── MissingPackageError  a package of an optional group is not installed
├── BusError              UNAVAILABLE: an address in use or malformed
├── MessageError          a message that breaks the wire format
├── SourceError           a camera, file or URL that gives no pictures
├── ModelError            faces of a wrong shape or type, a model that does not load
│   └── WeightsError      UNAVAILABLE: weights that are missing or corrupt
├── RecordingError        a recording that cannot be written or read
│   └── IncompleteRecordingError  INCOMPLETE: rows that were lost at the end
└── DeliveryError         STOPPED: lossless delivery came to a stop
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands; docs/operations.md has the same table."""

    OK = 0
    """Success, or stopped on request."""
    FAILURE = 1
    """It failed, or did not find what was requested; the output says why."""
    USAGE = 2
    """The command line or the configuration is invalid, or a required package is not installed."""
    UNAVAILABLE = 3
    """Something that it needs to start is missing: a free address, or intact model weights."""
    STOPPED = 4
    """Lossless delivery stopped; everything written so far is kept."""
    INCOMPLETE = 5
    """Part of the input was not read, or part of a recording not written; the rest is written."""
    INTERRUPTED = 130
    """Ctrl-C ended it; the usual code of a shell."""


class EmostreamError(Exception):
    """Base of every error with a message meant for the user."""

    exit_code = ExitCode.FAILURE


class ConfigError(EmostreamError):
    """The configuration or the command line cannot be used."""

    exit_code = ExitCode.USAGE


class MissingPackageError(ConfigError, ImportError):
    """A package is not installed; the message says which optional group brings it."""


class BusError(EmostreamError):
    """A socket cannot be opened."""

    exit_code = ExitCode.UNAVAILABLE


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

    exit_code = ExitCode.UNAVAILABLE


class RecordingError(EmostreamError):
    """A recording cannot be written or read."""


class IncompleteRecordingError(RecordingError):
    """A recording ended without rows that could not be written."""

    exit_code = ExitCode.INCOMPLETE


class TemporaryFolderError(EmostreamError):
    """Files that are not kept cannot be written: the disk for them is full, or read-only."""


class DeliveryError(EmostreamError):
    """Lossless delivery came to a stop: a stage hangs, or is gone for good."""

    exit_code = ExitCode.STOPPED
