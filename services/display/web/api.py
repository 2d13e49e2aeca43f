"""The HTTP API for programs: commands, state, and their description."""

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emostream.services.display.commands import Command, CommandHandler
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.update_builder import UpdateBuilder
from emostream.services.display.web.access import Access
from emostream.services.display.web.openapi import Problem, document, document_page
from emostream.services.display.web.request_body import read_body
from emostream.services.display.web.sign_in import credentials

MAX_BYTES: Final = 4096
# How long the first request waits for the stages' status.
FIRST_STATUS_S: Final = 2.0


class Api:
    """The routes for programs."""

    def __init__(
        self,
        updates: UpdateBuilder,
        commands: CommandHandler,
        poller: StatusPoller,
        access: Access,
    ) -> None:
        self._updates = updates
        self._commands = commands
        self._poller = poller
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
        self._poller.request()
        await asyncio.to_thread(self._poller.wait, FIRST_STATUS_S)
        return _json(self._updates.state())

    async def _control(self, request: Request) -> Response:
        if refusal := self._access.command_refusal(request.headers, credentials(request)):
            await asyncio.sleep(refusal.delay_s)
            return _json(Problem(refusal.error), refusal.status, dict(refusal.headers))
        body = await read_body(request, MAX_BYTES)
        if len(body) > MAX_BYTES:
            return _json(Problem(f"a command must not be longer than {MAX_BYTES} bytes"), 400)
        try:
            command = msgspec.json.decode(body, type=Command)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _json(Problem(f"the command is not valid: {error}"), 400)
        if not self._updates.has_stream(command.stream):
            return _json(Problem(f"there is no stream {command.stream}"), 400)
        self._commands.submit(command)
        return _json({}, 202)


async def _document(_: Request) -> Response:
    return _json(document())


async def _page(_: Request) -> Response:
    return HTMLResponse(document_page())


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
