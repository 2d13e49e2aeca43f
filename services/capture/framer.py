"""Creates `frame/` messages from pictures: numbers them by stream, and encodes the pixels."""

import secrets
import time
from collections import defaultdict
from collections.abc import Container
from typing import Literal

import cv2
import msgspec

from emostream.services.capture.picture import Picture
from emostream.shared.config.checks import check_picture_bytes
from emostream.shared.fields import LONGEST_REASON
from emostream.shared.messages import Frame, Message


class Framer:
    """Creates the `frame/` messages of one start of the capture.

    `run` identifies this start, by default uniquely. `encoding` is `bgr8`, `jpeg` with the given
    quality, or `i420`, for which non-planar pictures are sent as `bgr8`. `recorded` are the streams
    whose source is not live. A picture may have up to `max_megabytes` (10^6 bytes).
    """

    def __init__(
        self,
        encoding: Literal["bgr8", "jpeg", "i420"],
        jpeg_quality: int,
        run: str = "",
        recorded: Container[str] = (),
        max_megabytes: int = 256,
    ) -> None:
        self.run = run or f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}"
        self._encoding = encoding
        self._parameters = (cv2.IMWRITE_JPEG_QUALITY, jpeg_quality)
        self._recorded = recorded
        self._max_megabytes = max_megabytes
        self._sizes: dict[str, tuple[int, int]] = {}
        self._pts: dict[str, int] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)

    def frame(self, stream: str, picture: Picture) -> Message:
        """Return the message of the stream's next picture; do not modify its pixels afterward.

        Raises ConfigError if the picture is larger than the stages accept.
        """
        width, height = picture.size
        as_bgr = self._encoding == "i420" and not picture.is_planar
        header = Frame(
            stream=stream,
            run=self.run,
            seq=self._counts[stream],
            t=picture.t,
            pts=picture.pts,
            marks={},
            width=width,
            height=height,
            encoding="bgr8" if as_bgr else self._encoding,
            pixel_aspect=float(picture.pixel_aspect),
            recorded=stream in self._recorded,
        )
        payload = self._encoded(picture)
        check_picture_bytes(payload.nbytes, stream, (width, height), self._max_megabytes)
        self._counts[stream] += 1
        self._sizes[stream] = (width, height)
        self._pts[stream] = picture.pts
        return Message(header, payload)

    def count(self, stream: str) -> int:
        """Return the number of frames of the stream so far."""
        return self._counts[stream]

    def end(self, stream: str, error: str = "") -> Message:
        """Return the message that ends the stream; `error` is the reason if it failed."""
        frames = self._counts[stream]
        header = self.template(stream)
        return Message(
            msgspec.structs.replace(
                header, seq=frames, end=True, frames=frames, error=error[:LONGEST_REASON]
            )
        )

    def sum(self, stream: str) -> Message:
        """Return a message without a frame that has the stream's number of frames."""
        header = self.template(stream)
        return Message(msgspec.structs.replace(header, probe=True, base=self._counts[stream]))

    def template(self, stream: str) -> Frame:
        """Return a header without a frame, as the template of ends and probes."""
        width, height = self._sizes.get(stream, (1, 1))
        return Frame(
            stream=stream,
            run=self.run,
            seq=0,
            t=time.time_ns(),
            pts=self._pts.get(stream, 0),
            marks={},
            width=width,
            height=height,
            encoding=self._encoding,
        )

    def _encoded(self, picture: Picture) -> memoryview:
        if self._encoding != "jpeg":
            return picture.pixels.data.cast("B")
        _, data = cv2.imencode(".jpg", picture.pixels, self._parameters)
        return data.data.cast("B")
