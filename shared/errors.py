"""The exit codes, and the errors that a user can cause, each with one line of advice.

EmostreamError            FAILURE
├── ConfigError           USAGE: configuration, command line, a refused bind
│   └── MissingPackageError  a package of an optional group is not installed
├── BusError              UNAVAILABLE: an address in use or malformed
├── MessageError          a message that breaks the wire format
├── SourceError           a camera, file or URL that provides no pictures ├── ModelError
faces of the wrong shape or type, a model that does not load │   └── WeightsError      UNAVAILABLE:
weights that are missing or corrupt ├── RecordingError        a recording that cannot be written or
read │   └── IncompleteRecordingError  INCOMPLETE: rows that were lost at the end └── DeliveryError
STOPPED: lossless delivery stopped
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
    """The configuration or the command line is invalid."""

    exit_code = ExitCode.USAGE


class MissingPackageError(ConfigError, ImportError):
    """A package is not installed; the message names the optional group that includes it."""


class BusError(EmostreamError):
    """A socket cannot be opened."""

    exit_code = ExitCode.UNAVAILABLE


class MessageError(EmostreamError):
    """A message violates the wire format; `reason` is a short metric label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class SourceError(EmostreamError):
    """A source of pictures cannot be opened or read."""


class ModelError(EmostreamError):
    """A model cannot be loaded, or got faces with a wrong shape or type."""


class WeightsError(ModelError):
    """Weights are missing, or their sha256 does not match."""

    exit_code = ExitCode.UNAVAILABLE


class RecordingError(EmostreamError):
    """A recording cannot be written or read."""


class IncompleteRecordingError(RecordingError):
    """A recording ended without rows that could not be written."""

    exit_code = ExitCode.INCOMPLETE


class TemporaryFolderError(EmostreamError):
    """Temporary files cannot be written: their disk is full or read-only."""


class DeliveryError(EmostreamError):
    """Lossless delivery stopped: a stage hangs, or is gone for good."""

    exit_code = ExitCode.STOPPED
