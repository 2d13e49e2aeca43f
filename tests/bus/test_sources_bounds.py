"""Cameras on the network that would fill the memory; each is read by its own capture."""

import os
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import cv2
import numpy as np
import pytest

MB = 1_000_000
# What it takes beyond what is imported; the largest packet or picture has 134 MB.
BOUND = 350 * MB
# Reads a camera until it is lost, or for some seconds; prints the bytes it took, its pictures and
# how it ended.
PROGRAM = """
import os, resource, sys, time
from emostream.services.capture.source_set import SourceSet
from emostream.shared.config import Source
from emostream.shared.source_report import SourceState

def largest():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

before, pictures, end = largest(), 0, time.monotonic() + 4
with SourceSet([Source(name="door", url=sys.argv[1])]) as sources:
    while time.monotonic() < end:
        pictures += sources.take(0.05) is not None
        status = sources.statuses()["door"]
        if status.state is SourceState.LOST:
            break
print(largest() - before, pictures, status.error, sep="\\n")
sys.stdout.flush()
os._exit(0)
"""
NOISE = os.urandom(MB).translate(bytes.maketrans(b"\xff\r\n", b"xyz"))
PLAIN = b"HTTP/1.1 200 OK\r\n"
STREAM = PLAIN + b"Content-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"


def jpeg(width: int, height: int) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def part(length: int, content: bytes = b"") -> bytes:
    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return head % length + content


def whole(content: bytes) -> bytes:
    return part(len(content), content) + b"\r\n"


def packed(length: int) -> bytes:
    """Return zeros as gzip."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(bytes(length)) + compressor.flush()


@contextmanager
def camera(first: bytes, then: bytes) -> Iterator[int]:
    """A camera that answers with `first`, and then sends `then` forever ("": ends)."""

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(65536)
            client.sendall(first)
            while then:
                client.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def read(url: str) -> tuple[int, int, str]:
    """Return the bytes that a capture of the URL took, its pictures, and why it was lost."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, url], capture_output=True, text=True, timeout=60
    )
    took, pictures, error = run.stdout.splitlines()
    return int(took), int(pictures), error


# Callables make what takes seconds to make: not while tests are collected.
Content = bytes | Callable[[], bytes]


def content(given: Content) -> bytes:
    return given if isinstance(given, bytes) else given()


LARGE = "too large for memory"
BAD = "damaged, truncated, or not a video"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then", "pictures", "error"),
    [
        pytest.param(STREAM + part(99 * 10**9), NOISE, 0, BAD, id="a part of 99 GB"),
        pytest.param(
            STREAM + 5 * whole(jpeg(64, 48)) + part(99 * 10**9), NOISE, 1, LARGE,
            id="a part of 99 GB after pictures",
        ),
        pytest.param(
            STREAM + b"--b\r\nContent-Type: image/jpeg\r\n\r\n", NOISE, 0, BAD,
            id="a part without end",
        ),
        pytest.param(
            STREAM, lambda: whole(jpeg(11_000, 11_000)), 0, LARGE,
            id="a picture of 121 million pixels",
        ),
        pytest.param(STREAM + b"--b\r\nContent-Type: ", NOISE, 0, BAD, id="a line without end"),
        pytest.param(PLAIN + b"Server: ", NOISE, 0, "", id="a header without end"),
        pytest.param(
            lambda: STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
            + packed(500 * MB),
            b"", 0, "", id="gzip",
        ),
        pytest.param(
            PLAIN + b"Content-Type: image/jpeg\r\n\r\n" + jpeg(64, 48)[:400], NOISE, 0, "",
            id="a bare JPEG without end",
        ),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", b"", 0,
            "reading failed partway", id="redirects without end",
        ),
    ],
)  # fmt: skip
def test_a_camera_cannot_fill_the_memory(
    first: Content, then: Content, pictures: int, error: str
) -> None:
    with camera(content(first), content(then)) as port:
        took, got, said = read(f"http://127.0.0.1:{port}/")
    assert took < BOUND
    assert got >= pictures
    assert error in said


def test_an_rtsp_camera_s_description_is_bounded() -> None:
    answers = (
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\n"
    )
    described = b"Content-Type: application/sdp\r\nContent-Length: 2000000000\r\n\r\nv=0\r\n"
    with camera(answers + described, b"a=x:" + NOISE) as port:
        took, _, said = read(f"rtsp://127.0.0.1:{port}/")
    assert took < BOUND
    assert said
