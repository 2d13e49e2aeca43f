"""Writes the log to stderr: text for people, or one JSON object per line for programs."""

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

from emostream.shared.errors import EmostreamError, ExitCode

LogFormat: TypeAlias = Literal["text", "json"]

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")
# Honcho adds a time to each line, and sets this variable to the process name.
HONCHO_PROCESS: Final = "HONCHO_PROCESS_NAME"
LINE_START: Final = re.compile(r"(\d{4}-\d\d-\d\dT\S+ )?((debug|warning|error|critical): )?")

# An attribute of a record whose text line has no time.
TIMELESS: Final = "timeless"
log = logging.getLogger("emostream")


def log_to_stderr(level: str, style: LogFormat = "text", stage: str = "") -> None:
    """Write the log to stderr, from `level` up.

    `stage` names a long-running process, whose lines start with the time unless honcho adds it. In
    JSON, each line has the time, and uncaught exceptions are lines too.
    """
    handler = _StderrHandler()
    has_time = bool(stage) and HONCHO_PROCESS not in os.environ
    handler.setFormatter(JsonLines(stage) if style == "json" else TextLines(has_time=has_time))
    log.setLevel(level.upper())
    log.handlers[:] = [handler]
    log.propagate = False
    if style == "json":
        # Log lines from libraries and uncaught exceptions must be JSON objects too.
        root = logging.getLogger()
        root.handlers = [each for each in root.handlers if not isinstance(each, _StderrHandler)]
        root.addHandler(handler)
        logging.captureWarnings(True)
        sys.excepthook = _log_exception


def log_end(error: EmostreamError) -> None:
    """Write the error line of a process that exits.

    An error at startup is read immediately, so it needs no time.
    """
    refuses_start = error.exit_code in (ExitCode.USAGE, ExitCode.UNAVAILABLE)
    log.error("%s", error, extra={TIMELESS: refuses_start})


def message_of(line: str) -> str:
    """Return the message of a text line, without time and level."""
    return LINE_START.sub("", line, count=1)


class TextLines(logging.Formatter):
    """Formats a record as [time] [level:] message; the level only if it is not info."""

    def __init__(self, *, has_time: bool) -> None:
        super().__init__()
        self._has_time = has_time

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        has_time = self._has_time and not getattr(record, TIMELESS, False)
        time = f"{_time(record)} " if has_time else ""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{time}{level}{super().format(record)}"


class JsonLines(logging.Formatter):
    """Formats a record as JSON: `time`, `level`, `logger`, `message`, `stage` and `exception`."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        fields: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        if self._stage:
            fields["stage"] = self._stage
        fields |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class _StderrHandler(logging.StreamHandler[Any]):
    """This module's handler, as a distinct type."""


def _time(record: logging.LogRecord) -> str:
    """Return the record's time in UTC, to the millisecond: 2026-01-31T12:34:56.789Z."""
    time = datetime.fromtimestamp(record.created, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def _log_exception(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    log.critical("unexpected %s", kind.__name__, exc_info=(kind, error, traceback))
