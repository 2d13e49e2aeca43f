"""What the doctor says of one thing that it looked at."""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How bad it is; a problem stops `make run` or leaves it without pictures."""

    OK = "OK"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do about it, where something is to be."""

    check: str
    status: Status
    found: str
    advice: str = ""


def good(check: str, found: str, advice: str = "") -> Finding:
    """Return a finding that is as it should be."""
    return Finding(check, Status.OK, found, advice)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return a finding that costs something, but does not stop anything."""
    return Finding(check, Status.WARNING, found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Return a finding that has to be mended first."""
    return Finding(check, Status.PROBLEM, found, advice)
