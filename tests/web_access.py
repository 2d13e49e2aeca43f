"""Who may watch and command in tests of the page, by tokens that stand in the test."""

from collections.abc import Callable

from emostream.services.display.web.access import Access
from emostream.shared.http_access import HttpAccess
from emostream.shared.token_files import Role


def access(
    operator: str = "",
    viewer: str = "",
    *,
    exposed: bool = False,
    guarded: bool = False,
    count_wrong: Callable[[], None] = lambda: None,
) -> Access:
    """Return the access with these tokens, each where it is not empty."""
    given = {Role.OPERATOR: operator, Role.VIEWER: viewer}
    found = {role: (lambda token=token: token) for role, token in given.items() if token}
    return Access(HttpAccess(found, guarded, exposed), count_wrong)


def tokens(operator: Callable[[], str], viewer: Callable[[], str]) -> Access:
    """Return the access of a guarded page with tokens that may change."""
    return Access(HttpAccess({Role.OPERATOR: operator, Role.VIEWER: viewer}, is_guarded=True))
