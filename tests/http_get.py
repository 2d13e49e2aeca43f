"""Asks a server, for tests."""

import urllib.error
import urllib.request


def get(url: str) -> tuple[int, str]:
    """Return the status and the body of an answer; (0, "") without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""
