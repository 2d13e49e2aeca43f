"""Host and Origin checks of the page's server, and its security headers."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emostream.shared.allowed_hosts import AllowedHosts

# Plotly writes its own style elements, and draws its icons from data URLs.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityMiddleware:
    """Accepts only requests for one of the `hosts`, and WebSockets only from its own page.

    Any website can open a WebSocket to 127.0.0.1, and a foreign name can resolve to it (DNS
    rebinding). Browsers reveal both in Origin and Host.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        if scope["type"] == "websocket":
            if host in self._hosts and (origin is None or is_origin(origin, host)):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": "another origin"})
            return
        answer = self._app if host in self._hosts else _REFUSAL
        await answer(scope, receive, _with_headers(send))


_REFUSAL = PlainTextResponse(
    "Open this page by the machine's address or name. Add other names to allowed_hosts.\n",
    status_code=403,
)


def is_origin(origin: str, host: str) -> bool:
    """Whether an Origin header matches a Host header."""
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            # A newer page must be visible immediately; unchanged files are answered with 304.
            headers.setdefault("Cache-Control", "no-cache")
            headers.setdefault("Referrer-Policy", "no-referrer")
        await send(message)

    return add
