"""Computes the cores, network and disks for a number of cameras or hours of recordings."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table

from benchmarks.simulate.figures import Figures

# Share of a process's time: above it, random bursts wait too long.
FULL: Final = 0.7
GBIT: Final = 1e9
TB: Final = 1e12
HOUR_S: Final = 3600
# Numbers of cores for the archive, and the bit rate of its video.
WORKERS: Final = (200, 1000, 5000)
VIDEO_BITS: Final = 2e6


def stage_ms(figures: Figures, faces: float) -> dict[str, float]:
    """Return the time of each stage per frame in ms; recorder and display count as one."""
    return {
        "capture": figures.capture_ms,
        "detector": figures.detector_ms + faces * figures.detector_face_ms,
        "classifier": figures.classifier_ms + faces * figures.classifier_face_ms,
        "recorder and display": figures.consumer_ms,
    }


def processes(figures: Figures, streams: int, fps: float, faces: float) -> Table:
    """Return the table of live streams: cores and processes for each stage."""
    title = (
        f"{streams:,} streams, {fps:g} frames/s, {faces:g} faces per frame; a process is full at "
        f"{FULL:.0%} of a core"
    )
    table = Table(title=title, title_justify="left")
    for column in ("stage", "ms per frame", "cores", "streams per process", "processes"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    cores = 0.0
    for stage, ms in stage_ms(figures, faces).items():
        if not ms:
            continue
        busy = streams * fps * ms / 1000
        most = int(FULL * 1000 / (ms * fps))
        cores += busy
        count = f"{-(-streams // most):,}" if most else "-"
        table.add_row(stage, f"{ms:.2f}", f"{busy:,.0f}", str(most), count)
    table.add_row("together", "", f"{cores:,.0f}", "", "")
    return table


def traffic(figures: Figures, streams: int, fps: float, faces: float) -> Table:
    """Return the table of network and disk use."""
    table = Table(title="Network and disk", title_justify="left")
    for column in ("what", "a stream", "all"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, message, face in (
        ("crops to the classifiers", figures.faces_message_bytes, figures.face_bytes),
        ("results, to each subscriber", figures.result_message_bytes, figures.result_face_bytes),
    ):
        bits = 8 * fps * (message + faces * face)
        table.add_row(what, f"{bits / 1e6:.2f} Mbit/s", f"{streams * bits / GBIT:.2f} Gbit/s")
    rows = fps * (figures.database_frame_bytes + faces * figures.database_face_bytes)
    day = 24 * HOUR_S * rows
    table.add_row("rows, per day", f"{day / 1e9:.1f} GB", f"{streams * day / TB:.1f} TB")
    return table


def archive(figures: Figures, hours: float, fps: float, faces: float) -> Table:
    """Return the table of an archive of this many hours."""
    ms = figures.batch_ms
    frames = hours * HOUR_S * fps
    core_hours = frames * ms / 1000 / HOUR_S
    size = hours * HOUR_S * VIDEO_BITS / 8
    kept = frames * (figures.table_frame_bytes + faces * figures.table_face_bytes)
    title = (
        f"{hours:,.0f} h, {fps:g} frames/s, {faces:g} faces per frame: {frames:.3g} frames of "
        f"{ms:.1f} ms, {core_hours:,.0f} core hours; {size / TB:,.0f} TB to "
        f"read (at {VIDEO_BITS / 1e6:g} Mbit/s), {kept / TB:,.0f} TB of tables"
    )
    table = Table(title=title, title_justify="left")
    for column in ("cores", "days", "read, Gbit/s", "written, Gbit/s"):
        table.add_column(column, justify="right")
    for row in _workers(core_hours, hours, kept):
        table.add_row(*row)
    return table


def _workers(core_hours: float, hours: float, kept: float) -> Iterator[tuple[str, ...]]:
    for cores in WORKERS:
        seconds = core_hours / cores * HOUR_S
        read = hours * HOUR_S * VIDEO_BITS / seconds / GBIT
        yield (
            f"{cores:,}",
            f"{seconds / HOUR_S / 24:,.0f}",
            f"{read:.1f}",
            f"{8 * kept / seconds / GBIT:.2f}",
        )
