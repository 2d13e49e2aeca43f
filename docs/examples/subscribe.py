"""Prints each face that enters, changes its emotion or leaves: python subscribe.py [ENDPOINT]

Needs only pyzmq and msgpack. The default endpoint is tcp://127.0.0.1:5553.
"""

import sys
from contextlib import suppress

import msgpack
import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5553")
socket.subscribe("event/")
with suppress(KeyboardInterrupt):
    while True:
        parts = socket.recv_multipart()  # topic, header, and elsewhere a payload
        event = msgpack.unpackb(parts[1])
        if not (event.get("probe") or event.get("end")):  # these carry no event
            words = (event[key] for key in ("stream", "track", "kind", "label"))
            print(*words, f"{event['confidence']:.0%}", flush=True)
