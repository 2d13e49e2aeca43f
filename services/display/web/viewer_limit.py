"""The limit on concurrent viewers."""

from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Long-lived requests of viewers: the page's WebSocket, and a program's event stream.
WATCHED_PATHS: Final = ("/live", "/events")
RETRY_AFTER_S: Final = 10


class ViewerLimitMiddleware:
    """Allows a maximum number of viewers, and answers others with 503 and Retry-After."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._watching = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request, or refuse a viewer beyond the limit."""
        if scope["path"] not in WATCHED_PATHS:
            await self._app(scope, receive, send)
            return
        if self._watching >= self._limit:
            await _refusal(self._limit)(scope, receive, send)
            return
        self._watching += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._watching -= 1


def _refusal(limit: int) -> PlainTextResponse:
    return PlainTextResponse(
        f"{limit} viewers are connected, the maximum of display.max_viewers; try again later.\n",
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
