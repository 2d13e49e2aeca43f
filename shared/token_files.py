"""The tokens that clients of the page and of the metrics carry, and the files that hold them."""

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
    """What a token is for."""

    VIEWER = "viewer"
    """To watch the page."""
    OPERATOR = "operator"
    """To watch, and to give commands."""
    METRICS = "metrics"
    """To read the metrics of the stages."""


SETTINGS: Final = {
    Role.VIEWER: "display.viewer_token_file",
    Role.OPERATOR: "display.token_file",
    Role.METRICS: "security.metrics_token_file",
}


class TokenFile:
    """A token that only its owner may read, read again when its file changes.

    Raises ConfigError if it cannot be used; an `optional` one may be made later.
    """

    def __init__(self, path: Path, setting: str, *, optional: bool = False) -> None:
        self._path = path
        self._setting = setting
        self._optional = optional
        self._state = file_state(path)
        self._token = "" if optional and self._state is None else read_token(path, setting)

    def token(self) -> str:
        """Return the token as the file has it now; "" if that cannot be used, which is logged.

        Then no token is right: to continue with the former one could let in whom it was to shut
        out.
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

    Raises ConfigError, which names the setting, if the file cannot be read, is open to other users,
    holds nothing or more than one line: no header could carry that.
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
    """Write a random operator's token into the file where there is none yet, and log that.

    Raises ConfigError if it cannot be written.
    """
    if create_secret(path, SETTINGS[Role.OPERATOR]):
        log.info("commands now need the token in %s", path)


def is_token(given: str, token: str) -> bool:
    """Whether these are the same and not empty, in a time that tells nothing of the token.

    `given` is the text of a header, each byte a character.
    """
    return hmac.compare_digest(given.encode("latin-1", "replace"), token.encode()) and bool(token)


def bearer(authorization: str) -> str | None:
    """Return the token in an Authorization header; None if it carries none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def set_token_file(config: Config, role: Role) -> str:
    """Return the file that the configuration names for the role's token; "" if it names none."""
    section, _, key = SETTINGS[role].partition(".")
    return str(getattr(getattr(config, section), key))


def token_path(config: Config, role: Role) -> Path:
    """Return where the role's token is, or would be: by default in the folder of the keys."""
    named = set_token_file(config, role)
    return user_path(named) if named else user_path(config.security.folder) / f"{role}.token"
