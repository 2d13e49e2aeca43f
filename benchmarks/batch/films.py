"""The videos for comparing a batch with `analyze`."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import av
import numpy as np

from benchmarks.detector_data import clear_faces
from benchmarks.frames import ping_pong, read_frames
from emostream.models.evaluation.video_scenes import moving_video, still_video
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.pixels import Image

FPS: Final = 25
SEED: Final = 7
DRAWN: Final = 400  # pictures of the demo, repeated in a long film


def write(path: Path, pictures: Iterable[Image], fps: float = FPS) -> Path:
    """Write a film with a key frame every 2 s; return its path."""
    writer: VideoFile | None = None
    try:
        for number, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            writer = writer or VideoFile(path, width, height)
            writer.write(picture, round(number * 1e9 / fps))
    finally:
        if writer:
            writer.close()
    return path


def films(data: Path, folder: Path, seconds: float) -> Iterator[Path]:
    """Write and yield the demo, each clip of real people, and scenes that stand still and move."""
    frames = round(seconds * FPS)
    demo = DemoScene(640, 360, fps=FPS)
    yield write(folder / "demo.mp4", (demo.frame(2 * n) for n in range(frames)))
    for clip in sorted((data / "clips").glob("*.gif")):
        images = read_frames(clip)
        shown = (images[ping_pong(n // 2, len(images))] for n in range(frames))
        yield write(folder / f"{clip.stem}.mp4", map(_even, shown))
    if (data / "fer").is_dir():
        faces = clear_faces("PublicTest", data / "fer").images[:200]
        for name, video in (("moving", moving_video), ("still", still_video)):
            pictures = (picture for picture, _ in video(faces, SEED))
            yield write(folder / f"{name}.mp4", itertools.islice(pictures, frames))


def small_film(path: Path, frames: int, fps: float) -> Path:
    """Write a film of 320 x 180 with three faces, with a key frame each second."""
    demo = DemoScene(320, 180)
    drawn = [demo.frame(5 * n) for n in range(min(DRAWN, frames))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, {"preset": "ultrafast", "crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.gop_size = max(1, round(fps))
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(drawn[number % len(drawn)], format="bgr24")
            frame.pts = round(number * 25 / fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _even(picture: Image) -> Image:
    """Return the picture without the last row or column of an odd size."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2])
