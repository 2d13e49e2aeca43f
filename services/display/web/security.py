"""The checks of Host and Origin at the page's server, and its security headers."""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Plotly writes style elements of its own, and draws its icons from data URLs.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class SecurityMiddleware:
    """Answers only requests that name this machine, and WebSockets only to its own page.

    Any page in a browser may open a WebSocket to 127.0.0.1, and a foreign name may be made to
    resolve to it (DNS rebinding); a browser tells both in Origin and Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        if scope["type"] == "websocket":
            if is_this_machine(host) and (origin is None or urlsplit(origin).netloc == host):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": "another origin"})
            return
        answer = self._app if is_this_machine(host) else _REFUSAL
        await answer(scope, receive, _with_headers(send))


_REFUSAL = PlainTextResponse(
    "Open this page by the machine's address or its name.\n", status_code=403
)


def is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine in a way that no other site can forge.

    An address cannot be made to mean another machine, a name can.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", socket.gethostname().lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            # A newer page must be seen at once; what has not changed is answered with 304.
            headers.setdefault("Cache-Control", "no-cache")
        await send(message)

    return add
