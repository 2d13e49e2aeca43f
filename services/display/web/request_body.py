"""Reads the body of a request, up to a limit."""

import contextlib

from starlette.requests import ClientDisconnect, Request


async def read_body(request: Request, most: int) -> bytes:
    """Return the body, truncated shortly after `most` bytes.

    If the client disconnected, return the part that arrived.
    """
    body = b""
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                break
    return body
