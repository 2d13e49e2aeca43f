"""Who may give commands; everyone who reaches the page may watch."""

import hmac
import logging
from pathlib import Path
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from emostream.services.display.web.security import is_origin
from emostream.services.display.web.token_guesses import TokenGuesses
from emostream.shared.secret_file import create_secret, read_secret

TOKEN_FILE: Final = "display.token_file"
log = logging.getLogger("emostream")


class Refusal(NamedTuple):
    """The HTTP status of a refused command, why it is refused, and further headers to say so.

    It is to be sent after `delay_s` seconds.
    """

    status: int
    error: str
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0


class Access:
    """Decides who may give commands: whoever has the token, where there is one.

    Without a token, only this machine, and so nobody where the page `is_exposed` to others.
    """

    def __init__(self, token: str = "", is_exposed: bool = False) -> None:
        self._token = token.encode()
        self._is_exposed = is_exposed
        self._guesses = TokenGuesses()

    @property
    def needs_token(self) -> bool:
        """Whether a command must carry the token."""
        return bool(self._token)

    def refusal(self, headers: Headers, client: str = "") -> Refusal | None:
        """Return why a command with these headers is refused; None where it is not.

        `client` is the address that it comes from.
        """
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            # A foreign page's form can be sent without a question, but not as JSON.
            return Refusal(403, "send the command as Content-Type: application/json")
        origin = headers.get("origin")
        if origin is not None and not is_origin(origin, headers.get("host", "")):
            return Refusal(403, f"a page of another origin, {origin[:80]}, may not give commands")
        if not self._token:
            return _NO_TOKEN if self._is_exposed else None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _WRONG_TOKEN
        if self._guesses.are_too_many(client):
            return _TOO_MANY_GUESSES
        # Starlette reads headers as latin-1, whatever their bytes.
        if hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token):
            return None
        self._guesses.count(client)
        return _WRONG_TOKEN._replace(delay_s=GUESS_DELAY_S)


# How long the answer to a wrong token is held back.
GUESS_DELAY_S: Final = 1.0
_WRONG_TOKEN = Refusal(
    401,
    "the token is missing or wrong: Authorization: Bearer TOKEN",
    (("WWW-Authenticate", "Bearer"),),
)
_TOO_MANY_GUESSES = Refusal(
    429, "too many wrong tokens came from this address", (("Retry-After", "1"),)
)
_NO_TOKEN = Refusal(
    403,
    "other hosts can reach this page, so commands need a token: set display.token_file to a file "
    "that holds one, and restart the display",
)


def read_token(path: str) -> str:
    """Return the token in the file, "" where no file is named.

    Raises ConfigError where the file cannot be read or holds nothing.
    """
    return read_secret(Path(path), TOKEN_FILE) if path else ""


def create_token(path: str) -> None:
    """Write a random token into the file where there is none yet, and log that.

    Raises ConfigError where it cannot be written.
    """
    if create_secret(Path(path), TOKEN_FILE):
        log.info("commands need the token that is now in %s", path)
