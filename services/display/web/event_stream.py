"""Server-Sent Events: each face that enters, changes its label, or leaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from emostream.services.display.display_state import DisplayState

POLL_INTERVAL_S: Final = 0.1
HEARTBEAT_S: Final = 15
# A client that reads nothing for this long is gone.
SEND_TIMEOUT_S: Final = 30.0
# Maximum digits of a revision; Python refuses numbers with thousands of digits.
MOST_DIGITS: Final = 16


def event_stream_endpoint(
    display_state: DisplayState, stop: threading.Event
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of /events; its streams end when `stop` is set.

    A client reads recent events at its own pace: a slow client misses some, and takes no memory
    here. A client that reconnects with the id of its last event gets the events since then.
    """

    async def events(request: Request) -> Response:
        since = _since(request.headers.get("last-event-id"), display_state)
        stream = request.query_params.get("stream", "")
        return EventSourceResponse(
            _face_events(display_state, stop, stream, since),
            ping=HEARTBEAT_S,
            ping_message_factory=lambda: ServerSentEvent(comment="still here", sep="\n"),
            send_timeout=SEND_TIMEOUT_S,
            sep="\n",
        )

    return events


async def _face_events(
    display_state: DisplayState, stop: threading.Event, stream: str, since: int
) -> AsyncIterator[ServerSentEvent]:
    """Yield the events of the stream ("" for all) after revision `since`, as they arrive."""
    while not stop.is_set():
        for revision, event in display_state.events(since):
            since = revision
            if stream in ("", event.stream):
                yield ServerSentEvent(
                    msgspec.json.encode(event).decode(),
                    event=event.kind,
                    id=f"{display_state.run}-{revision}",
                    sep="\n",
                )
        await asyncio.sleep(POLL_INTERVAL_S)


def _since(last_id: str | None, display_state: DisplayState) -> int:
    """Return the revision after which events are new to a client.

    With an id from another start of the display, all events are new.
    """
    if last_id is None:
        return display_state.revision
    run, _, revision = last_id.rpartition("-")
    is_number = len(revision) <= MOST_DIGITS and revision.isdecimal()
    return int(revision) if run == display_state.run and is_number else 0
