"""Sign-in sessions: the content of a browser's cookie, and its validity."""

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

from emostream.shared.token_files import Role

SESSION_S: Final = 30 * 86_400
MAX_ENDED: Final = 10_000
NONCE_BYTES: Final = 16
ROLES: Final = frozenset(map(str, Role))


class Sessions:
    """Signs cookies with the token of their role, so that sessions end with that token.

    Sessions survive a restart of this process. `token` returns a role's token, "" if it has none;
    `clock` returns s since the epoch.
    """

    def __init__(
        self, token: Callable[[Role], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._token = token
        self._clock = clock
        # Signed-out sessions, newest last.
        self._ended: dict[str, None] = {}

    def begin(self, role: Role) -> str:
        """Return a new session."""
        expires = int(self._clock()) + SESSION_S
        said = f"{role}.{expires}.{secrets.token_urlsafe(NONCE_BYTES)}"
        return f"{said}.{_signature(self._token(role), said)}"

    def role(self, session: str) -> Role | None:
        """Return the role of a valid session, else None."""
        said, _, signature = session.rpartition(".")
        name, _, rest = said.partition(".")
        expires = rest.partition(".")[0]
        if name not in ROLES or not (expires.isascii() and expires.isdecimal()):
            return None
        role = Role(name)
        # Read once. Anybody could sign with an empty token.
        token = self._token(role)
        if not token or not hmac.compare_digest(
            signature.encode(), _signature(token, said).encode()
        ):
            return None
        return role if int(expires) > self._clock() and session not in self._ended else None

    def end(self, session: str) -> None:
        """End a valid session."""
        if self.role(session):
            self._ended[session] = None
            if len(self._ended) > MAX_ENDED:
                del self._ended[next(iter(self._ended))]


def _signature(token: str, said: str) -> str:
    return hmac.digest(token.encode(), f"session {said}".encode(), "sha256").hex()
