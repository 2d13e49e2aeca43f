"""The video of the streams that are recorded: frames with the results drawn on them."""

import contextlib
import math
from collections.abc import Callable, Set
from pathlib import Path
from typing import Final

from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.video import StreamVideo
from emostream.shared.annotate import annotate
from emostream.shared.blur import FaceBlur
from emostream.shared.control import Switch
from emostream.shared.errors import MessageError
from emostream.shared.join import StreamJoin
from emostream.shared.messages import Frame, Header, Message

CLOSE_AFTER: Final = 30.0

VideoFactory = Callable[[str], StreamVideo]


class Films:
    """Writes the frames of the streams that are `recording`, blurred where `blur` says so.

    `make` makes a stream's video. Frames wait up to `wait` s for their results. `bad` is told of a
    picture that cannot be decoded. Times are s on a steady clock. Raises RecordingError where
    nothing can be written.
    """

    def __init__(
        self,
        make: VideoFactory,
        recording: Switch,
        blur: FaceBlur,
        metrics: RecorderMetrics,
        bad: Callable[[MessageError], None],
        wait: float = 0.5,
    ) -> None:
        self._make = make
        self._recording = recording
        self._blur = blur
        self._metrics = metrics
        self._bad = bad
        self._wait = wait
        self._films: dict[str, _Film] = {}

    @property
    def topics(self) -> Set[str]:
        """The topics whose pixels are needed now: they are costly, so no others are asked for."""
        streams = self._recording.streams
        if self._recording.default and all(streams.values()):
            return {"frame/"}
        return {f"frame/{stream}/" for stream, on in streams.items() if on}

    @property
    def busy(self) -> Set[Path]:
        """The files that are being written."""
        return {film.video.path for film in self._films.values() if film.video.path}

    def meet(self, stream: str) -> None:
        """Note that the stream is there."""
        self._recording.meet(stream)
        self._blur.switch.meet(stream)

    def is_recording(self, stream: str) -> bool:
        """Whether the stream's frames are written."""
        return self._recording.is_on(stream)

    def record(self, stream: str, on: bool) -> None:
        """Begin with the stream, or write what still waits of it and finish its file."""
        self._recording.turn(stream, on)
        film = None if on else self._films.pop(stream, None)
        if film is not None:
            self._write(film, math.inf)
            film.video.close()

    def blur(self, stream: str, on: bool) -> None:
        """Blur the stream's faces from the next frame on, or show them."""
        self._blur.switch.turn(stream, on)

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer; one of a stream that is not recorded is ignored."""
        stream = message.header.stream
        if not self.is_recording(stream):
            return
        if stream not in self._films:
            self._films[stream] = _Film(StreamJoin(self._wait), self._make(stream), now)
        self._films[stream].add(message, now)

    def end(self, stream: str) -> None:
        """Note that the last frame of the stream's run was added."""
        if film := self._films.get(stream):
            film.ended = True

    def written(self, stream: str) -> Header | None:
        """Return the header of the stream's last frame that left for the file."""
        film = self._films.get(stream)
        return film.written if film else None

    def work(self, now: float) -> None:
        """Write the frames whose wait is over, and finish the files of streams that are over."""
        for film in self._films.values():
            self._write(film, now)
            film.close_if_over(now)

    def close(self) -> None:
        """Write what still waits and finish all files."""
        with contextlib.ExitStack() as files:
            for film in self._films.values():
                files.callback(film.video.close)
            for film in self._films.values():
                self._write(film, math.inf)

    def _write(self, film: "_Film", now: float) -> None:
        for joined in film.join.ready(now):
            header = film.written = joined.frame.header
            assert isinstance(header, Frame)
            self._blur.see(joined)
            try:
                film.video.write(header, annotate(self._blur.picture(joined), joined.faces))
            except MessageError as error:
                self._bad(error)
            else:
                self._metrics.count_video(joined)


class _Film:
    """One stream's frames on their way to video."""

    def __init__(self, join: StreamJoin, video: StreamVideo, now: float) -> None:
        self.join = join
        self.video = video
        self.written: Header | None = None
        self.ended = False
        self._fed = now

    def add(self, message: Message, now: float) -> None:
        """Add a frame or an answer."""
        self.join.add(message, now)
        if isinstance(message.header, Frame):
            self.ended = False
            self._fed = now

    def close_if_over(self, now: float) -> None:
        """Finish the file after the last frame of a run, and when no frame came for long."""
        if (self.ended and not len(self.join)) or now - self._fed > CLOSE_AFTER:
            self.video.close()
