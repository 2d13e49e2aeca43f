"""The desktop window on a real X server that has no screen."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import require_tool

PROGRAM = """
import cv2, sys
from emostream.services.display.desktop_window import DesktopWindow
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import Emotion, EmotionFace, Frame, Message

common = dict(stream="cam1", run="r", seq=0, t=0, pts=0, marks={})
frame = Message(Frame(**common, width=64, height=48, encoding="bgr8"), bytes(64 * 48 * 3))
face = EmotionFace(1, (5, 20, 20, 20), {"fear": 1.0}, {"fear": 1.0}, "fear", 1.0)
emotion = Emotion(**common, model="m", faces=(face,), part=0, parts=1, degraded=False)

asked = []
window = DesktopWindow(lambda: asked.append("quit"), StreamSwitch(False))
for _ in range(20):
    window.show(Joined(frame, (emotion,), True))
    window.idle()
print("open", asked)
cv2.destroyAllWindows()
window.idle()
print("closed", asked)
window.close()
"""


@pytest.fixture
def desktop() -> Iterator[str]:
    """The name of a display."""
    path = require_tool("Xvfb")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [path, "-displayfd", str(writer), "-nolisten", "tcp", "-screen", "0", "640x480x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as told:
        yield f":{told.readline().strip()}"
    server.terminate()
    server.wait()


def test_the_window_shows_and_closing_it_quits(desktop: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "DISPLAY": desktop},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["open []", "closed ['quit']"]
