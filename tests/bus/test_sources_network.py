"""Cameras on the network: frozen, ended and refused streams, and passwords, over real sockets."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from emostream.services.capture.source_set import SourceSet
from emostream.shared.config import Source
from emostream.shared.source_report import SourceState

PICTURES = 6


class Camera(ThreadingHTTPServer):
    """A camera that sends a few JPEGs as fast as it can, and then no more, or ends the stream."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.freezes = True
        self.connections = 0
        self.closing = threading.Event()


class Connection(BaseHTTPRequestHandler):
    """One viewer of the camera."""

    server: Camera

    def do_GET(self) -> None:
        self.server.connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        for n in range(PICTURES):
            jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 40 * n, np.uint8))[1].tobytes()
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        if self.server.freezes:
            self.server.closing.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.01))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def settings(port: int) -> Source:
    url = f"http://admin:hunter2@127.0.0.1:{port}/live?token=topsecret"
    return Source(name="door", url=url, freeze_after=0.3)


@pytest.mark.parametrize("freezes", [True, False])
def test_a_stream_that_freezes_or_ends_is_opened_again(
    camera: Camera, freezes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    camera.freezes = freezes
    with SourceSet([settings(camera.server_port)]) as sources:
        times = []
        while sources.statuses()["door"].reconnects < 2:
            found = sources.take(0.1)
            if found:
                assert found[1].pixels.shape == (48, 64, 3)
                times.append(found[1].pts)
    assert camera.connections >= 2
    assert len(times) > 2
    assert times == sorted(set(times))
    reason = "(no picture for|no data arrived in)" if freezes else "reading failed partway"
    assert re.search(rf"live\?token=\*\*\*: {reason}.*; trying again in 0.5 s", caplog.text)


def test_no_password_is_logged_or_shown(camera: Camera, caplog: pytest.LogCaptureFixture) -> None:
    port = camera.server_port
    camera.shutdown()
    camera.server_close()
    with SourceSet([settings(port)]) as sources:
        while (status := sources.statuses()["door"]).state is not SourceState.LOST:
            sources.take(0.05)
    assert status.error == f"http://***@127.0.0.1:{port}/live?token=***: Connection refused"
    for secret in ("hunter2", "admin", "topsecret"):
        assert secret not in caplog.text + str(status)
