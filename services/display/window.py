"""The desktop window of the original program: boxes and labels on the picture, `q` quits."""

import os
import sys
from collections.abc import Callable

import cv2

from shared.annotate import annotate
from shared.errors import ConfigError
from shared.join import Joined
from shared.pixels import image


class Window:
    """A desktop window a stream; `quit` is called when `q` is pressed in one.

    Raises ConfigError where there is no display to open it on.
    """

    def __init__(self, quit: Callable[[], None]) -> None:
        # Without a display OpenCV's window library does not fail, it aborts the process.
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            raise ConfigError(
                "display.window: no desktop to open a window on (DISPLAY is not set); "
                "use the page in its place"
            )
        self._quit = quit

    def draw(self, joined: Joined) -> None:
        """Show the frame with its results drawn on it."""
        picture = annotate(image(joined.frame), joined.faces)
        cv2.imshow(f"emostream: {joined.frame.header.stream}", picture)
        if cv2.waitKey(1) & 0xFF == ord("q"):
            self._quit()

    def close(self) -> None:
        """Close all windows."""
        cv2.destroyAllWindows()
