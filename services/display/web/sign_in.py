"""Sign-in and sign-out: exchanges a token for a session in a cookie."""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from emostream.services.display.web.access import Access, Credentials, Refusal
from emostream.services.display.web.request_body import read_body
from emostream.services.display.web.security import is_origin
from emostream.services.display.web.sessions import SESSION_S
from emostream.shared.html_templates import templates
from emostream.shared.token_files import bearer

SIGN_IN: Final = "/signin"
TEMPLATES: Final = Path(__file__).with_name("templates")
MAX_BYTES: Final = 4096
MESSAGES: Final = {
    "wrong": "Wrong token.",
    "wait": "Too many wrong tokens from your address. Wait a few seconds.",
}


def sign_in_routes(access: Access) -> list[Route]:
    """Return the routes for sign-in and sign-out."""

    async def enter(request: Request) -> Response:
        if not _is_from_here(request):
            return Response("a page of another origin is not allowed to sign in\n", 403)
        form = parse_qs((await read_body(request, MAX_BYTES)).decode("utf-8", "replace"))
        return await sign_in(access, request, form.get("token", [""])[0].strip())

    async def leave(request: Request) -> Response:
        if not _is_from_here(request):
            return Response("a page of another origin is not allowed to sign out\n", 403)
        access.sessions.end(credentials(request).session)
        answer = RedirectResponse(SIGN_IN, 303)
        _set_cookie(answer, request, "", 0)
        return answer

    return [
        Route(SIGN_IN, _form, methods=["GET"]),
        Route(SIGN_IN, enter, methods=["POST"]),
        Route("/signout", leave, methods=["POST"]),
    ]


async def sign_in(access: Access, connection: HTTPConnection, token: str) -> Response:
    """Redirect to the page with a session, or back to the form if the token is wrong."""
    who = Credentials(token.encode().decode("latin-1"), address=_address(connection))
    role = access.role(who)
    if isinstance(role, Refusal):
        await asyncio.sleep(role.delay_s)
        return RedirectResponse(f"{SIGN_IN}?{'wait' if role.status == 429 else 'wrong'}", 303)
    answer = RedirectResponse("/", 303)
    _set_cookie(answer, connection, access.sessions.begin(role), SESSION_S)
    return answer


def credentials(connection: HTTPConnection) -> Credentials:
    """Return a client's credentials."""
    return Credentials(
        bearer(connection.headers.get("authorization", "")),
        connection.cookies.get(_cookie_name(connection), ""),
        _address(connection),
    )


async def _form(request: Request) -> Response:
    page = templates(TEMPLATES).get_template("signin.html")
    message = MESSAGES.get(request.url.query, "")
    # Without a referrer, a browser would not reveal the origin of the form either.
    return HTMLResponse(page.render(message=message), headers={"Referrer-Policy": "same-origin"})


def _is_from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or is_origin(origin, request.headers.get("host", ""))


def _set_cookie(answer: Response, connection: HTTPConnection, session: str, max_age: int) -> None:
    answer.set_cookie(
        _cookie_name(connection),
        session,
        max_age,
        secure=_is_secure(connection),
        httponly=True,
        samesite="strict",
    )


def _cookie_name(connection: HTTPConnection) -> str:
    """Return the name of the cookie, which differs by port for displays on the same host."""
    _, port = connection.scope["server"]
    return f"{'__Host-' if _is_secure(connection) else ''}emostream-{port}"


def _is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser's connection is encrypted, here or up to a reverse proxy.

    A client that lies about this only gets a cookie that it does not send back.
    """
    forwarded = connection.headers.get("x-forwarded-proto", "")
    return "https" in (connection.scope["scheme"], forwarded) or connection.scope["scheme"] == "wss"


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""
