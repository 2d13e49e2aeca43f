"""Reading the body of a request, and no more of it than makes sense."""

import contextlib

from starlette.requests import ClientDisconnect, Request


async def read_body(request: Request, most: int) -> bytes:
    """Return the body, or the beginning of one that is longer than `most` bytes.

    Of a client that went away, what came.
    """
    body = b""
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                break
    return body
