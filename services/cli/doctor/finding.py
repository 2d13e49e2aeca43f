"""The finding of one check of the doctor."""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """The severity; a problem prevents the start, or leaves the pipeline without pictures."""

    OK = "OK"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was checked, the result, and advice if needed."""

    check: str
    status: Status
    found: str
    advice: str = ""


def good(check: str, found: str, advice: str = "") -> Finding:
    """Return a good finding."""
    return Finding(check, Status.OK, found, advice)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return a finding with a disadvantage that does not prevent the start."""
    return Finding(check, Status.WARNING, found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Return a finding that must be fixed first."""
    return Finding(check, Status.PROBLEM, found, advice)
