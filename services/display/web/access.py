"""Who may watch and who may give commands: by token, or by the session that a sign-in began."""

from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from emostream.services.display.web.security import is_origin
from emostream.services.display.web.sessions import Sessions
from emostream.shared.http_access import OPEN, HttpAccess
from emostream.shared.token_files import Role, is_token
from emostream.shared.token_guesses import GUESS_DELAY_S, TokenGuesses

# The stronger one first: both may have the same token.
ROLES: Final = (Role.OPERATOR, Role.VIEWER)


class Refusal(NamedTuple):
    """The HTTP status of a refused request, why it is refused, and further headers to say so.

    It is to be sent after `delay_s` seconds.
    """

    status: int
    error: str
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0


class Credentials(NamedTuple):
    """What a client shows: a token, else the session of its cookie; and the address it has."""

    token: str | None = None
    session: str = ""
    address: str = ""


class Access:
    """Decides who may do what, by the tokens as their files have them now.

    Where the page is guarded, watching takes a token or a session. Commands take the operator's
    where there is one; else this machine alone gives them, and so nobody where the page is guarded
    or exposed. `count_wrong` is called with each wrong token.
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
        """Whether watching takes a token."""
        return self._http.is_guarded

    @property
    def needs_token(self) -> bool:
        """Whether a command must carry the token."""
        return Role.OPERATOR in self._http.tokens

    def role(self, who: Credentials) -> Role | Refusal:
        """Return the role of a client, or why it has none; a wrong token counts."""
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
        """Return the role of a client as it is now; nothing counts."""
        token = who.token
        if token is None:
            return self.sessions.role(who.session)
        # All are compared, so that the time does not tell which one it is.
        fitting = [role for role in ROLES if is_token(token, self._token(role))]
        return fitting[0] if fitting else None

    def watch_refusal(self, who: Credentials) -> Refusal | None:
        """Return why the client may not watch; None if it may."""
        if not self.is_guarded:
            return None
        role = self.role(who)
        return role if isinstance(role, Refusal) else None

    def command_refusal(self, headers: Headers, who: Credentials) -> Refusal | None:
        """Return why a command with these headers is refused; None if it is not."""
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            # A foreign page's form can be sent without a question, but not as JSON.
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
