"""The analysis of one recording: the stages run until every frame is written."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emostream.services.cli.analysis.record import Record, StageUse
from emostream.services.cli.analysis.settings import with_sockets, write
from emostream.services.cli.processes.group import ORDER, Stages
from emostream.services.recorder.archive.progress import frames_written, run_end
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.config import Config
from emostream.shared.errors import DeliveryError
from emostream.shared.scraping import scrape

POLL: Final = 0.1

Tell = Callable[[int], None]


def analyse(config: Config, record: Record, folder: Path, tell: Tell) -> None:
    """Run the stages until the recording is written to the database in `folder`.

    `tell` is called with the frames written so far. How it ended is noted in `record`, also where
    a stage could not go on; what is written by then stays. KeyboardInterrupt ends the stages.
    """
    database = folder / DATABASE
    record.status, record.message = "interrupted", ""
    with tempfile.TemporaryDirectory(prefix="emostream-") as private:
        file = Path(private) / "config.toml"
        write(with_sockets(config, Path(private)), file)
        with Stages(file, Path(private)) as stages:
            started = time.monotonic()
            try:
                while (end := run_end(database, record.run)) is None:
                    stages.watch()
                    tell(frames_written(database))
                    time.sleep(POLL)
                record.frames_read, record.message = end
                record.status = "broken" if record.message else "complete"
            except DeliveryError as error:
                record.status, record.message = "partial", str(error)
                _keep_logs(Path(private), folder)
            finally:
                record.seconds += time.monotonic() - started
                _note_use(record, stages)
    tell(frames_written(database))


def _note_use(record: Record, stages: Stages) -> None:
    cpu = stages.cpu_seconds()
    for stage in ORDER:
        use = record.stages.setdefault(stage, StageUse())
        use.cpu_seconds += cpu.get(stage, 0.0)
        use.restarts += stages.restarts[stage]
        address = stages.metrics(stage)
        found = scrape(address) if address else ""
        if isinstance(found, str):
            continue
        use.busy_seconds += found.total("emostream_stage_seconds_sum", stage=stage)
        use.frames += round(found.total("emostream_frames_given_total", stage=stage))
        if stage == "capture":
            record.frames_skipped = round(found.total("emostream_source_skipped_total"))


def _keep_logs(private: Path, folder: Path) -> None:
    for stage in ORDER:
        log = private / f"{stage}.log"
        if log.exists() and log.stat().st_size:
            shutil.copyfile(log, folder / log.name)
