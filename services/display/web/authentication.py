"""Protects a guarded page: nothing is visible without a token or a session."""

import asyncio
import contextlib
from typing import Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emostream.services.display.web.access import Access, Credentials, Refusal
from emostream.services.display.web.openapi import Problem
from emostream.services.display.web.sign_in import SIGN_IN, credentials, sign_in
from emostream.services.display.web.viewer_limit import WATCHED_PATHS

# The files of the sign-in page, which reveal nothing.
PUBLIC: Final = frozenset({SIGN_IN, "/palette.css", "/icon.svg"})
# The paths that people open. Programs request other paths, or these without text/html.
OPENED: Final = frozenset({"/", "/index.html", "/api"})
CHECK_INTERVAL_S: Final = 1.0
# A SameSite=Strict cookie is not sent after a link from another site, but it is sent after a
# navigation from here. Without an icon, browsers would request /favicon.ico, which does not exist.
AGAIN: Final = (
    '<!doctype html><title>emostream</title><link rel="icon" href="/icon.svg">'
    '<meta http-equiv="refresh" content="0;url=/">'
)
NOT_ALLOWED: Final = 1008


class AuthenticationMiddleware:
    """Passes on authorized requests; otherwise, people are sent to sign in, and programs get 401.

    Long-lived responses end about a second after the token or session.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        token = connection.query_params.get("token")
        if token is not None and _is_get_of_page(scope):
            await (await sign_in(self._access, connection, token))(scope, receive, send)
            return
        who = credentials(connection)
        if refusal := self._access.watch_refusal(who):
            await asyncio.sleep(refusal.delay_s)
            await _answer(connection, refusal)(scope, receive, send)
        elif scope["path"] in WATCHED_PATHS:
            await self._pass_on_while_allowed(who, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_on_while_allowed(
        self, who: Credentials, scope: Scope, receive: Receive, send: Send
    ) -> None:
        answering = asyncio.ensure_future(self._app(scope, receive, send))
        try:
            while not answering.done() and self._access.current_role(who):
                await asyncio.wait({answering}, timeout=CHECK_INTERVAL_S)
        finally:
            is_over = answering.done()
            answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
        if not is_over:
            # The client may have disconnected in the meantime.
            with contextlib.suppress(OSError):
                await send(_end(scope))


def _is_get_of_page(scope: Scope) -> bool:
    return (scope["type"], scope.get("method"), scope["path"]) == ("http", "GET", "/")


def _end(scope: Scope) -> Message:
    if scope["type"] == "websocket":
        return {"type": "websocket.close", "code": NOT_ALLOWED, "reason": "signed out"}
    return {"type": "http.response.body", "body": b"", "more_body": False}


def _answer(connection: HTTPConnection, refusal: Refusal) -> Response:
    scope = connection.scope
    is_person = (
        scope["type"] == "http"
        and scope["path"] in OPENED
        and "text/html" in connection.headers.get("accept", "")
    )
    if not is_person:
        body = msgspec.json.encode(Problem(refusal.error))
        return Response(body, refusal.status, dict(refusal.headers), "application/json")
    if connection.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(AGAIN)
    return RedirectResponse(SIGN_IN, 303)
