"""The same with asyncio: python subscribe_async.py [ENDPOINT]"""

import asyncio
import sys
from contextlib import suppress

import msgpack
import zmq.asyncio


async def listen(endpoint: str) -> None:
    socket = zmq.asyncio.Context().socket(zmq.SUB)
    socket.connect(endpoint)
    socket.subscribe("event/")
    while True:
        parts = await socket.recv_multipart()  # topic, header, and elsewhere a payload
        event = msgpack.unpackb(parts[1])
        if not (event.get("probe") or event.get("end")):  # these carry no event
            words = (event[key] for key in ("stream", "track", "kind", "label"))
            print(*words, f"{event['confidence']:.0%}", flush=True)


with suppress(KeyboardInterrupt):
    asyncio.run(listen(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5553"))
