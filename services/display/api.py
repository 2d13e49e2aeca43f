"""What programs ask for over HTTP: commands, the state, and the description of both."""

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emostream.services.display.access import Access
from emostream.services.display.board import Board
from emostream.services.display.controls import Command, Controls
from emostream.services.display.newsroom import Newsroom
from emostream.services.display.openapi import Problem, document, page
from emostream.services.display.watch import Watch

MOST_BYTES: Final = 4096
# How long a program that is the first to ask waits for what the stages say.
FIRST_REPORT_S: Final = 2.0


class Api:
    """The answers to programs."""

    def __init__(
        self, board: Board, newsroom: Newsroom, controls: Controls, watch: Watch, access: Access
    ) -> None:
        self._board = board
        self._newsroom = newsroom
        self._controls = controls
        self._watch = watch
        self._access = access

    @property
    def routes(self) -> list[Route]:
        """The routes below /api."""
        return [
            Route("/api", _page),
            Route("/api/openapi.json", _document),
            Route("/api/state", self._state),
            Route("/api/control", self._control, methods=["POST"]),
        ]

    async def _state(self, _: Request) -> Response:
        self._watch.ask()
        await asyncio.to_thread(self._watch.wait, FIRST_REPORT_S)
        return _json(self._newsroom.state())

    async def _control(self, request: Request) -> Response:
        if refusal := self._access.refusal(request.headers):
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
            return _json(Problem(refusal.error), refusal.status, headers)
        body = await _body(request)
        if len(body) > MOST_BYTES:
            return _json(Problem(f"no command is longer than {MOST_BYTES} bytes"), 400)
        try:
            command = msgspec.json.decode(body, type=Command)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _json(Problem(f"the command is not understood: {error}"), 400)
        if not self._board.knows(command.stream):
            return _json(Problem(f"there is no stream {command.stream}"), 400)
        self._controls.give(command)
        return _json({}, 202)


async def _body(request: Request) -> bytes:
    """Return the body, or the beginning of one that is longer than any command."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            break
    return body


async def _document(_: Request) -> Response:
    return _json(document())


async def _page(_: Request) -> Response:
    return HTMLResponse(page())


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
