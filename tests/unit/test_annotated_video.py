"""The annotated video: every picture at its time with its faces, and the sound in step."""

import contextlib
import math
import resource
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer

from emostream.services.capture.ffmpeg.video_file import describe_video, video_pictures
from emostream.services.cli.results.video import annotated
from emostream.services.cli.results.video.annotated import write_annotated
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.annotate import annotate
from emostream.shared.errors import RecordingError, SourceError
from emostream.shared.messages import EmotionFace, Frame
from tests.builders import emotion, frame, header_of
from tests.unit.videos import Clip, Sound, click, cut, flash, key_times

MS = 10**6
FRAME = Fraction(1, 25)
ID = 1_700_000_000 << 20
SHARES = {"neutral": 0.1, "happiness": 0.9}
Box = tuple[float, float, float, float]
MIDDLE: Box = (20.0, 16.0, 24.0, 24.0)


def face(box: Box = MIDDLE, track: int = 7, confidence: float = 0.9) -> EmotionFace:
    return EmotionFace(ID | track, box, SHARES, SHARES, "happiness", confidence, 0.8)


def database(
    path: Path, faces: Sequence[Sequence[EmotionFace] | None], frames: int | None = None
) -> Path:
    """What an analysis records: frame n with faces[n]; the source gave `frames`, by default all."""
    archive = ArchiveWriter(path)
    for seq, found in enumerate(faces):
        if found is not None:
            archive.add_emotion(emotion(seq, *found))
    count = len(faces) if frames is None else frames
    archive.end_run(header_of(frame(count, end=True, frames=count), Frame))
    archive.close()
    return path


def write(
    video: Path,
    faces: Sequence[Sequence[EmotionFace] | None],
    frames: int | None = None,
    told: list[tuple[int, int]] | None = None,
    sample: float = 0.0,
) -> Path:
    """Write `annotated.mp4` next to the video."""
    told = [] if told is None else told
    target = video.with_name("annotated.mp4")
    with ArchiveReader(database(video.with_name("emostream.db"), faces, frames)) as reader:
        [run] = reader.runs()
        done = write_annotated(video, target, reader, run, lambda *at: told.append(at), sample)
    assert done == len(told)
    return target


def shown(path: Path) -> list[tuple[int, np.ndarray]]:
    """Return (ms, pixels) of each picture of the file."""
    return [(round(p.pts / MS), p.pixels) for p in video_pictures(str(path), print)]


def changed(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pixels that look different."""
    return float((np.abs(one.astype(int) - other).max(axis=2) > 60).mean())


def clip(count: int, **keys: Any) -> Clip:
    return Clip(**{"grays": [100] * count, "size": (128, 96), "time_base": FRAME, **keys})


def seconds(container: InputContainer) -> float:
    """Return how long the file says that it is."""
    assert container.duration is not None
    return container.duration / 1e6


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 60 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
def test_each_picture_keeps_its_time_and_has_its_own_faces(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotated, "best_encoder", lambda: encoder)
    ticks = [0, 1, 2, 10, 11, 60, 61, 62]
    video = clip(8, ticks=ticks, coding={"bf": "2"}).write(tmp_path / "a.mp4")
    told: list[tuple[int, int]] = []
    with_face = {1, 4, 5}
    target = write(video, [[face()] if n in with_face else [] for n in range(8)], told=told)
    found = shown(target)
    assert [ms for ms, _ in found] == [40 * tick for tick in ticks]
    for n, (_, pixels) in enumerate(found):
        expected = annotate(
            np.full((96, 128, 3), 100, np.uint8), [face()], lambda _: "#1 happiness 90%"
        )
        marked = changed(pixels, np.full_like(pixels, 100))
        assert (marked > 0.1) == (n in with_face), n
        if n in with_face:
            assert changed(pixels, expected) < 0.03
    assert told == [(n, 8) for n in range(1, 9)]
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_faces_bear_the_numbers_of_the_tables(tmp_path: Path) -> None:
    video = clip(2, size=(640, 360)).write(tmp_path / "a.mp4")
    left, right = face((80, 150, 120, 120), track=9), face((400, 150, 120, 120), track=2)
    target = write(video, [[left], [right, left]])
    plain = np.full((360, 640, 3), 100, np.uint8)
    picture, numerals = shown(target)[1][1], np.s_[132:150, 88:102]

    def difference(number: int) -> float:
        drawn = annotate(plain, [left], lambda _: f"#{number} happiness 90%")
        return changed(picture[numerals], drawn[numerals])

    assert difference(1) < 0.7 * difference(2)


@pytest.mark.parametrize(
    ("name", "sound", "start", "codec"),
    [
        ("a.mp4", Sound(), 0, "aac"),
        ("a.mkv", Sound(codec="libmp3lame"), 0, "mp3"),
        ("a.mkv", Sound(codec="libopus"), 0, "opus"),
        ("a.mkv", Sound(codec="flac"), 0, "flac"),
        ("a.avi", Sound(codec="pcm_s16le"), 0, "aac"),
        ("a.mkv", Sound(codec="ac3", layout="5.1"), 0, "aac"),
        ("a.mkv", Sound(codec="libmp3lame", rate=8000), 0, "aac"),
        ("a.mkv", Sound(codec="pcm_s16le", rate=192_000), 0, "aac"),
        pytest.param("a.ts", Sound(), 0, "aac", id="without a header"),
        pytest.param("a.mkv", Sound(click=1.5), 0.5, "aac", id="copied, video later"),
        pytest.param("a.mkv", Sound("pcm_s16le", click=1.5), 0.5, "aac", id="encoded, video later"),
        pytest.param("a.mkv", Sound(start=0.4), 0, "aac", id="copied, sound later"),
        pytest.param("a.mkv", Sound("pcm_s16le", 0.4), 0, "aac", id="encoded, sound later"),
        pytest.param("a.ts", Sound(start=1.2, click=2.5), 1.5, "aac", id="both later"),
        pytest.param("a.ts", Sound("ac3", 1.2, click=2.5), 1.5, "aac", id="both later, encoded"),
    ],
)
def test_the_sound_stays_in_step(
    tmp_path: Path, name: str, sound: Sound, start: float, codec: str
) -> None:
    grays = [255 if n == 25 else 0 for n in range(40)]
    ticks = [n + round(25 * start) for n in range(40)]
    video = Clip(grays, ticks=ticks, time_base=FRAME, sound=sound).write(tmp_path / name)
    target = write(video, [[]] * 40)
    assert flash(target) == pytest.approx(1.0, abs=1e-3)
    assert click(target) == pytest.approx(1.0, abs=0.03)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
        # All of it is kept, also what comes after the last picture.
        end = sound.start + sound.seconds - start
        assert seconds(container) == pytest.approx(max(end, 1.6), abs=0.08)


def test_sound_whose_channels_change_goes_on(tmp_path: Path) -> None:
    one = Clip([0] * 25, time_base=FRAME, sound=Sound("ac3", seconds=1.0, click=0.2))
    two = Clip(
        [0] * 25, time_base=FRAME, ticks=range(25, 50),
        sound=Sound("ac3", 1.0, 1.0, click=1.5, layout="stereo"),
    )  # fmt: skip
    video = one.write(tmp_path / "a.ts")
    video.write_bytes(video.read_bytes() + two.write(tmp_path / "b.ts").read_bytes())
    target = write(video, [[]] * 50)
    with av.open(str(target)) as container:
        loud = [
            frame.time
            for frame in container.decode(audio=0)
            if frame.time is not None and np.abs(frame.to_ndarray()).max() > 0.3
        ]
    assert loud[0] == pytest.approx(0.2, abs=0.05)
    assert loud[-1] == pytest.approx(1.5, abs=0.06)


def test_damaged_sound_is_left_out(tmp_path: Path) -> None:
    video = Clip([0] * 40, time_base=FRAME, sound=Sound("ac3")).write(tmp_path / "a.mkv")
    data = bytearray(video.read_bytes())
    sync = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\x0b\x77"]
    for at in sync[10:20]:
        data[at : at + 60] = bytes(60)
    video.write_bytes(data)
    target = write(video, [[]] * 40)
    assert len(shown(target)) == 40
    assert click(target) == pytest.approx(1.0, abs=0.03)


def test_sound_that_nobody_knows_is_left_out(tmp_path: Path) -> None:
    video = Clip([0] * 5, time_base=FRAME, sound=Sound()).write(tmp_path / "a.mkv")
    video.write_bytes(video.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    with av.open(str(write(video, [[]] * 5))) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_browser_can_start_and_seek_before_it_has_all(tmp_path: Path) -> None:
    video = clip(100, sound=Sound(seconds=4.0)).write(tmp_path / "a.mp4")
    target = write(video, [[]] * 100)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert key_times(target) == [0, 2]


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({"turn": 90}, (96, 128)),
        ({"turn": 180}, (128, 96)),
        ({"size": (321, 241), "codec": "mpeg4"}, (322, 242)),
        ({"layout": "yuv420p10le"}, (128, 96)),
    ],
)
def test_pictures_are_upright_and_of_even_size(
    tmp_path: Path, keys: dict[str, object], size: tuple[int, int]
) -> None:
    video = clip(3, **keys).write(tmp_path / "a.mp4")
    box = (10.0, 40.0, 30.0, 30.0)
    target = write(video, [[face(box)]] * 3)
    found = describe_video(target)
    assert (found.width, found.height, found.frames) == (*size, 3)
    plain = np.full((size[1], size[0], 3), 100, np.uint8)
    expected = annotate(plain, [face(box)], lambda _: "#1 happiness 90%")
    assert changed(shown(target)[2][1], expected) < 0.03
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize(("turn", "aspect"), [(0, Fraction(16, 11)), (90, Fraction(11, 16))])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, turn: int, aspect: Fraction) -> None:
    video = clip(2, pixel_aspect=Fraction(16, 11), turn=turn).write(tmp_path / "a.mp4")
    assert describe_video(write(video, [[]] * 2)).pixel_aspect == aspect


def test_pictures_of_another_size_are_fitted_in_whole(tmp_path: Path) -> None:
    video = tmp_path / "a.mjpeg"
    with video.open("wb") as file:
        for size in ((128, 96), (48, 96), (256, 96)):
            one = clip(1, size=size, codec="mjpeg", layout="yuvj420p")
            file.write(one.write(tmp_path / "one.mjpeg", "mjpeg").read_bytes())
    found = [pixels for _, pixels in shown(write(video, [[]] * 3))]
    assert [pixels.shape for pixels in found] == [(96, 128, 3)] * 3
    bright = [np.argwhere(pixels[..., 0] > 50) for pixels in found]
    assert [b.min(axis=0).tolist() for b in bright] == [[0, 0], [0, 40], [24, 0]]
    assert [b.max(axis=0).tolist() for b in bright] == [[95, 127], [95, 87], [71, 127]]


def test_of_a_file_that_breaks_off_what_is_readable(tmp_path: Path) -> None:
    video = clip(100, noise=1.0, container={"movflags": "faststart"}).write(tmp_path / "a.mp4")
    cut(video, 0.5)
    with pytest.raises(SourceError):
        list(video_pictures(str(video), lambda line: None))
    told: list[tuple[int, int]] = []
    target = write(video, [[face()]] * 70, told=told)
    assert 40 <= len(told) < 70
    assert len(shown(target)) == len(told)


def test_an_analysis_that_was_not_finished_has_a_video_as_long(tmp_path: Path) -> None:
    video = clip(50, sound=Sound()).write(tmp_path / "a.mp4")
    target = write(video, [[face()]] * 20, frames=50)
    assert len(shown(target)) == 20
    with av.open(str(target)) as container:
        assert seconds(container) == pytest.approx(0.8, abs=0.08)


def test_a_sample_of_the_pictures(tmp_path: Path) -> None:
    video = clip(50, grays=range(50, 200, 3)).write(tmp_path / "a.mp4")
    found = shown(write(video, [[]] * 10, sample=5))
    assert [ms for ms, _ in found] == [200 * n for n in range(10)]
    means = [float(pixels.mean()) for _, pixels in found]
    assert means == pytest.approx([50 + 15 * n for n in range(10)], abs=7)


def test_a_frame_without_an_answer_shifts_no_other(tmp_path: Path) -> None:
    video = clip(5).write(tmp_path / "a.mp4")
    found = shown(write(video, [[], None, [face()], [], [face()]]))
    marked = [changed(pixels, np.full_like(pixels, 100)) > 0.1 for _, pixels in found]
    assert marked == [False, False, True, False, True]


def test_numbers_that_a_database_cannot_hold_do_no_harm(tmp_path: Path) -> None:
    video = clip(2).write(tmp_path / "a.mp4")
    odd = [face((math.nan, 1, 2, 3)), face(confidence=math.nan)]
    assert len(shown(write(video, [odd, odd]))) == 2


def test_an_analysis_without_a_frame_has_no_video(tmp_path: Path) -> None:
    video = clip(2).write(tmp_path / "a.mp4")
    assert not write(video, []).exists()


def test_what_is_no_video(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_text("Dear all")
    with pytest.raises(SourceError, match=r"a\.mp4: damaged, truncated, or not a video"):
        write(video, [[]])


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    video = clip(40, noise=1.0).write(tmp_path / "a.mp4")
    database(tmp_path / "emostream.db", [[]] * 40)
    with ArchiveReader(tmp_path / "emostream.db") as reader, small_disk():
        [run] = reader.runs()
        with pytest.raises(RecordingError, match=r"cannot write .*annotated\.mp4: File too large"):
            write_annotated(video, tmp_path / "annotated.mp4", reader, run, lambda *at: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "emostream.db"]


def test_the_old_video_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    video = clip(6).write(tmp_path / "a.mp4")
    target = tmp_path / "annotated.mp4"
    target.write_text("the old one")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with ArchiveReader(database(tmp_path / "emostream.db", [[]] * 6)) as reader:
        [run] = reader.runs()
        with pytest.raises(KeyboardInterrupt):
            write_annotated(video, target, reader, run, stop)
    assert target.read_text() == "the old one"
    assert not list(tmp_path.glob(".*"))
