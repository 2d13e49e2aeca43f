"""The tokens for the page and the metrics, and their files."""

import hmac
import logging
from enum import StrEnum
from pathlib import Path
from typing import Final

from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.secret_file import check_private, create_secret, read_secret
from emostream.shared.user_path import user_path
from emostream.shared.whole_file import file_state

log = logging.getLogger("emostream")


class Role(StrEnum):
    """The role of a token."""

    VIEWER = "viewer"
    """View the page."""
    OPERATOR = "operator"
    """View the page and send commands."""
    METRICS = "metrics"
    """Read the metrics of the stages."""


SETTINGS: Final = {
    Role.VIEWER: "display.viewer_token_file",
    Role.OPERATOR: "display.token_file",
    Role.METRICS: "security.metrics_token_file",
}


class TokenFile:
    """A token file that only its owner may read, reloaded when it changes.

    Raises ConfigError if it is unusable; an `optional` one may be created later.
    """

    def __init__(self, path: Path, setting: str, *, optional: bool = False) -> None:
        self._path = path
        self._setting = setting
        self._optional = optional
        self._state = file_state(path)
        self._token = "" if optional and self._state is None else read_token(path, setting)

    def token(self) -> str:
        """Return the current token in the file; "" if it is unusable, which is logged.

        In that case no token is valid: keeping the previous one could let in a client that the
        change was meant to shut out.
        """
        state = file_state(self._path)
        if state != self._state:
            self._state, self._token = state, ""
            if state is not None or not self._optional:
                self._token = self._read_again()
        return self._token

    def _read_again(self) -> str:
        try:
            return read_token(self._path, self._setting)
        except ConfigError as error:
            log.error("%s; until then nobody can use this token", error)
            return ""


def read_token(path: Path, setting: str) -> str:
    """Return the token in the file.

    Raises ConfigError, which names the setting, if the file cannot be read, is readable by other
    users, is empty, or has several lines, which no header could carry.
    """
    try:
        token = read_secret(path, setting)
    except ConfigError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        role = next(each for each, its in SETTINGS.items() if its == setting)
        raise ConfigError(f"{error}; emostream keys token {role} creates it") from error
    if not token.isprintable():
        raise ConfigError(f"{setting}: {path} contains more than one line; a token is one line")
    check_private(path, setting)
    return token


def create_token(path: Path) -> None:
    """Write a random operator token to the file if it does not exist, and log that.

    Raises ConfigError if it cannot be written.
    """
    if create_secret(path, SETTINGS[Role.OPERATOR]):
        log.info("commands now need the token in %s", path)


def is_token(given: str, token: str) -> bool:
    """Whether these are equal and not empty, compared in constant time.

    `given` is the text of a header, one character per byte.
    """
    return hmac.compare_digest(given.encode("latin-1", "replace"), token.encode()) and bool(token)


def bearer(authorization: str) -> str | None:
    """Return the token in an Authorization header; None if there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def set_token_file(config: Config, role: Role) -> str:
    """Return the configured file for the role's token; "" if there is none."""
    section, _, key = SETTINGS[role].partition(".")
    return str(getattr(getattr(config, section), key))


def token_path(config: Config, role: Role) -> Path:
    """Return the path of the role's token, by default in the key folder."""
    named = set_token_file(config, role)
    return user_path(named) if named else user_path(config.security.folder) / f"{role}.token"
