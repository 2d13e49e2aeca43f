"""Runs the stages on one recording until every frame is written."""

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emostream.services.cli.analysis.recording_config import with_sockets
from emostream.services.cli.analysis.run_file import RunFile, StageUse
from emostream.services.cli.processes.config_file import write_config
from emostream.services.cli.processes.stage_group import START_ORDER, StageGroup
from emostream.services.recorder.archive.progress import frames_written, run_end
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.config import Config
from emostream.shared.errors import DeliveryError, TemporaryFolderError
from emostream.shared.metric_names import MetricName
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.scraping import scrape
from emostream.shared.temporary_folder import temporary_folder

POLL: Final = 0.1


def run_stages(
    config: Config, record: RunFile, folder: Path, on_progress: Callable[[int], None]
) -> None:
    """Run the stages until the recording is written to the database in the recorder's folder.

    `folder` gets the logs of stages that could not continue. `on_progress` is called with the
    number of frames written so far. The outcome is stored in `record`, even if a stage could not
    continue; rows written by then are kept. KeyboardInterrupt stops the stages.
    """
    database = Path(config.recorder.folder) / DATABASE
    record.status, record.message = "interrupted", ""
    try:
        with temporary_folder() as private:
            file = private / "config.toml"
            write_config(with_sockets(config, private), file)
            try:
                _follow(file, config, database, record, on_progress)
            except DeliveryError:
                _keep_logs(private, folder)
                raise
    except (DeliveryError, TemporaryFolderError) as error:
        record.status, record.message = "partial", str(error)
    on_progress(frames_written(database))


def _follow(
    file: Path,
    config: Config,
    database: Path,
    record: RunFile,
    on_progress: Callable[[int], None],
) -> None:
    """Run the stages of a configuration file until the end of the recording is written.

    Raises DeliveryError if a stage cannot continue, TemporaryFolderError if their logs cannot be
    written.
    """
    with StageGroup(file, file.parent, config.live.hung_after) as stages:
        started = time.monotonic()
        try:
            while (end := run_end(database, record.run)) is None:
                stages.watch()
                on_progress(frames_written(database))
                time.sleep(POLL)
            record.frames_read, record.message = end
            record.status = "broken" if record.message else "complete"
        finally:
            record.seconds += time.monotonic() - started
            _note_use(record, stages, MetricsClient(config))


def _note_use(record: RunFile, stages: StageGroup, client: MetricsClient) -> None:
    cpu = stages.cpu_seconds()
    for stage in START_ORDER:
        use = record.stages.setdefault(stage, StageUse())
        use.cpu_seconds += cpu.get(stage, 0.0)
        use.restarts += stages.restarts[stage]
        addresses = stages.addresses(stage)
        page = scrape(addresses.metrics, client) if addresses else ""
        if isinstance(page, str):
            continue
        use.busy_seconds += page.observed(MetricName.STAGE_SECONDS, stage=stage)
        use.frames += round(page.total(MetricName.FRAMES_GIVEN, stage=stage))
        # No other stage reads a source; a capture that was stopped immediately has opened none yet.
        if stage == "capture" and page.has(MetricName.SOURCE_SKIPPED):
            record.frames_skipped = round(page.total(MetricName.SOURCE_SKIPPED))


def _keep_logs(private: Path, folder: Path) -> None:
    # The stages may have failed to write to this very folder; the record's message has the reason.
    with contextlib.suppress(OSError):
        for stage in START_ORDER:
            log = private / f"{stage}.log"
            if log.exists() and log.stat().st_size:
                shutil.copyfile(log, folder / log.name)
