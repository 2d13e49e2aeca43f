"""The plan for a video: its properties, and the chunks it is split into."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from emostream.services.capture.ffmpeg.frame_index import index_frames
from emostream.services.capture.ffmpeg.video_file import describe
from emostream.services.cli.analysis.input_facts import file_identity, video_facts
from emostream.services.cli.analysis.recording_config import expected_frames
from emostream.services.cli.batch.chunks import Chunk, plan_chunks
from emostream.services.cli.batch.media import Media, fingerprint, open_video
from emostream.services.cli.batch.results import finished_key
from emostream.services.cli.batch.store import Store, is_remote
from emostream.shared.errors import SourceError

WORK: Final = ".work"  # the folder of unfinished work


class Cutting(msgspec.Struct, frozen=True):
    """Chunk length and overlap in ns, and the sample rate in pictures per second, 0 for all."""

    length: int
    overlap: int
    sample: float


class Plan(msgspec.Struct):
    """The plan for a video; `folder` is for its chunk files.

    `facts` describe the input, `expected` is the estimated number of pictures. `error` is why the
    video cannot be read, and `is_finished` whether an earlier run has written its results.
    """

    media: Media
    key: str = ""
    facts: dict[str, Any] = {}
    expected: int | None = None
    chunks: tuple[Chunk, ...] = ()
    error: str = ""
    is_finished: bool = False

    @property
    def folder(self) -> str:
        """The folder in the store for its chunk files."""
        return work_folder(self.media.recording, self.key)

    @property
    def frames(self) -> int:
        """The number of pictures to analyze."""
        return sum(chunk.frames for chunk in self.chunks)


def plan_video(media: Media, store: Store, cutting: Cutting) -> Plan:
    """Return the plan for a video, or the earlier one if the file has not changed."""
    try:
        key = content_key(media.url, cutting)
        if finished_key(store, media.recording) == key:
            return Plan(media, key, is_finished=True)
        name = f"{work_folder(media.recording, key)}/plan.json"
        if (known := store.read_json(name)) is not None:
            return msgspec.convert(known, Plan)
        plan = _read(media, key, cutting)
    except SourceError as error:
        return Plan(media, error=str(error))
    store.put_text(msgspec.json.encode(plan).decode(), name)
    return plan


def content_key(url: str, cutting: Cutting) -> str:
    """Return a key for the file and the chunk settings; SourceError if there is no file."""
    parts = (url, fingerprint(url), cutting)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def work_folder(recording: str, key: str) -> str:
    """Return the folder in the store for a recording's unfinished work."""
    return f"{WORK}/{recording}-{key}"


def _read(media: Media, key: str, cutting: Cutting) -> Plan:
    with open_video(media.url) as (container, stream, _):
        video = describe(container, stream, media.name)
    with open_video(media.url) as (container, stream, _):
        index = index_frames(container, stream)
    if len(index.times) and int(index.times[0]) != video.start:
        # Pictures that the decoder does not output.
        index = dataclasses.replace(index, splits=False)
    identity = _identity(media.url)
    facts = video_facts(media.url, media.name, identity, video, index.restarts)
    chunks = plan_chunks(index, cutting.length, cutting.overlap, cutting.sample)
    return Plan(media, key, facts, expected_frames(video, cutting.sample), tuple(chunks))


def _identity(url: str) -> dict[str, Any]:
    """Return facts that identify a file."""
    if is_remote(url):
        # Reading it completely for a digest would cost as much as reading it for the analysis.
        return {"fingerprint": fingerprint(url)}
    return file_identity(Path(url))
