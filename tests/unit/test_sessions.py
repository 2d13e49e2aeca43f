"""Sessions of the page: signed with the token of their role, and no longer good than that."""

from emostream.services.display.web.sessions import Sessions
from emostream.shared.token_files import Role


def test_a_session_that_an_empty_token_would_have_signed_is_none() -> None:
    """As while the token's file is being replaced: the token is read once for each look."""
    forged = Sessions(lambda role: "").begin(Role.OPERATOR)
    reads = iter(["", "secret"])
    assert Sessions(lambda role: next(reads)).role(forged) is None
    assert Sessions(lambda role: "secret").role(forged) is None


def test_a_session_holds_with_its_token_alone() -> None:
    session = Sessions(lambda role: "secret").begin(Role.VIEWER)
    assert Sessions(lambda role: "secret").role(session) is Role.VIEWER
    assert Sessions(lambda role: "another").role(session) is None
