"""How far a recording has come, as an analysis asks while the recorder writes it."""

from pathlib import Path

from emostream.services.recorder.archive.progress import frames_written, run_end
from emostream.services.recorder.archive.writer import ArchiveWriter
from tests.builders import emotion

RUN = emotion().run


def test_there_may_be_no_database_and_no_table_yet(tmp_path: Path) -> None:
    path = tmp_path / "emostream.db"
    assert (frames_written(path), run_end(path, RUN)) == (0, None)
    path.touch()
    assert (frames_written(path), run_end(path, RUN)) == (0, None)


def test_frames_count_as_they_are_committed_until_the_run_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "emostream.db"
    archive = ArchiveWriter(path)
    for seq in range(3):
        archive.add_emotion(emotion(seq))
        archive.keep_states(emotion(seq), seq, {})
    assert frames_written(path) == 0
    archive.commit()
    assert (frames_written(path), run_end(path, RUN)) == (3, None)
    archive.end_run(emotion(3, end=True, frames=3, error="it ends early"))
    archive.close()
    assert run_end(path, RUN) == (3, "it ends early")
    assert run_end(path, "another") is None
