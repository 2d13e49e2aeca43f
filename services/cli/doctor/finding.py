"""The finding of one check of the doctor."""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How bad it is; a problem stops the start or leaves it without pictures."""

    OK = "OK"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was checked, what was found, and what to do about it, if anything."""

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
    """Return a finding that has to be fixed first."""
    return Finding(check, Status.PROBLEM, found, advice)
