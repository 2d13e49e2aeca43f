"""The desktop window of the original program: boxes and labels on the picture; `q` quits."""

import os
import subprocess
import sys
from collections.abc import Callable

import cv2

from emostream.shared.annotate import annotate
from emostream.shared.blur import FaceBlur
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import ConfigError
from emostream.shared.join import Joined

TRIAL_TIMEOUT_S = 20
_TRIAL = "import cv2; cv2.namedWindow('emostream'); cv2.pollKey(); cv2.destroyAllWindows()"
_ADVICE = "start it in a desktop session, or without window = true (the page shows the same)"


class DesktopWindow:
    """Shows each stream in its own window; `quit` is called on `q` or when one is closed.

    Faces are blurred if `blur` is on. Create and use it only on the main thread. Raises ConfigError
    if no window can be opened.
    """

    def __init__(self, quit: Callable[[], None], blur: StreamSwitch) -> None:
        check_desktop()
        # OpenCV's thread pool would spin on every core for work that takes a millisecond.
        cv2.setNumThreads(1)
        self._blur = FaceBlur(blur)
        self._quit = quit
        self._open: set[str] = set()

    def show(self, joined: Joined) -> None:
        """Show the frame with its results drawn on it; MessageError for a broken picture."""
        name = f"emostream: {joined.frame.header.stream}"
        self._blur.observe(joined)
        cv2.imshow(name, annotate(self._blur.picture(joined), joined.faces))
        self._open.add(name)

    def forget(self, stream: str) -> None:
        """Close the stream's window."""
        self._blur.forget(stream)
        name = f"emostream: {stream}"
        if name in self._open:
            self._open.discard(name)
            cv2.destroyWindow(name)

    def idle(self) -> None:
        """Process window events, and check whether the user wants to quit."""
        if not self._open:
            return
        pressed = cv2.pollKey() & 0xFF
        if pressed == ord("q") or not all(map(_is_visible, self._open)):
            self._quit()

    def close(self) -> None:
        """Close the windows."""
        self._open.clear()
        cv2.destroyAllWindows()


def _is_visible(name: str) -> bool:
    return cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) > 0


def check_desktop() -> None:
    """Raise ConfigError, which says why, if no window can be opened."""
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise ConfigError(f"display.window: no desktop found (DISPLAY is not set); {_ADVICE}")
    # Without a responding desktop, OpenCV's window library ends the whole process, so another
    # process tries first.
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            capture_output=True,
            timeout=TRIAL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"display.window: the desktop does not answer; {_ADVICE}") from error
    if done.returncode != 0:
        raise ConfigError(f"display.window: cannot open a window here; {_ADVICE}")
