"""Access control for viewing and commands, by token or by session."""

from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from emostream.services.display.web.security import is_origin
from emostream.services.display.web.sessions import Sessions
from emostream.shared.http_access import OPEN, HttpAccess
from emostream.shared.token_files import Role, is_token
from emostream.shared.token_guesses import GUESS_DELAY_S, TokenGuesses

# The stronger role first, because both may have the same token.
ROLES: Final = (Role.OPERATOR, Role.VIEWER)


class Refusal(NamedTuple):
    """The HTTP status of a refused request, the reason, and additional headers.

    Send it after `delay_s` seconds.
    """

    status: int
    error: str
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0


class Credentials(NamedTuple):
    """A client's credentials: a token, or else its cookie's session; and its address."""

    token: str | None = None
    session: str = ""
    address: str = ""


class Access:
    """Decides what a client may do, from the current token files.

    If the page is guarded, viewing needs a token or a session. Commands need the operator's token
    if there is one; otherwise only this machine may send commands, and nobody if the page is
    guarded or exposed. `count_wrong` is called for each wrong token.
    """

    def __init__(
        self, http: HttpAccess = OPEN, count_wrong: Callable[[], None] = lambda: None
    ) -> None:
        self._http = http
        self._count_wrong = count_wrong
        self._guesses = TokenGuesses()
        self.sessions = Sessions(self._token)

    @property
    def is_guarded(self) -> bool:
        """Whether viewing needs a token."""
        return self._http.is_guarded

    @property
    def needs_token(self) -> bool:
        """Whether commands need the token."""
        return Role.OPERATOR in self._http.tokens

    def role(self, who: Credentials) -> Role | Refusal:
        """Return the role of a client, or the reason for refusal; counts a wrong token."""
        if who.token is not None and self._guesses.are_too_many(who.address):
            return _TOO_MANY_GUESSES
        if role := self.current_role(who):
            return role
        if who.token is None:
            return _NO_TOKEN
        self._guesses.count(who.address)
        self._count_wrong()
        return _WRONG_TOKEN

    def current_role(self, who: Credentials) -> Role | None:
        """Return the current role of a client, without counting wrong tokens."""
        token = who.token
        if token is None:
            return self.sessions.role(who.session)
        # All are compared, so that the time does not reveal which one matches.
        fitting = [role for role in ROLES if is_token(token, self._token(role))]
        return fitting[0] if fitting else None

    def watch_refusal(self, who: Credentials) -> Refusal | None:
        """Return why the client may not view the page; None if it may."""
        if not self.is_guarded:
            return None
        role = self.role(who)
        return role if isinstance(role, Refusal) else None

    def command_refusal(self, headers: Headers, who: Credentials) -> Refusal | None:
        """Return why a command with these headers is refused; None if it is not."""
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            # A foreign site can submit a form without a CORS preflight, but not JSON.
            return Refusal(403, "send the command as Content-Type: application/json")
        origin = headers.get("origin")
        if origin is not None and not is_origin(origin, headers.get("host", "")):
            return Refusal(
                403, f"a page of another origin, {origin[:80]}, is not allowed to send commands"
            )
        if not self._token(Role.OPERATOR):
            is_local = not (self.needs_token or self.is_guarded or self._http.is_exposed)
            return None if is_local else _NO_OPERATOR
        role = self.role(who)
        if isinstance(role, Refusal):
            return role
        return None if role is Role.OPERATOR else _NOT_OPERATOR

    def _token(self, role: Role) -> str:
        source = self._http.tokens.get(role)
        return source() if source else ""


_NO_TOKEN = Refusal(
    401,
    "the token is missing or wrong: Authorization: Bearer TOKEN",
    (("WWW-Authenticate", "Bearer"),),
)
_WRONG_TOKEN = _NO_TOKEN._replace(delay_s=GUESS_DELAY_S)
_TOO_MANY_GUESSES = Refusal(429, "too many wrong tokens from this address", (("Retry-After", "1"),))
_NO_OPERATOR = Refusal(
    403,
    "commands need the operator's token, and the display has none: name a file with one in "
    "display.token_file (emostream keys token operator creates it)",
)
_NOT_OPERATOR = Refusal(403, "this token only allows viewing; commands need the operator's token")
