"""Checks Python, CPU, memory, clock, disk and desktop."""

import math
import os
import platform
import shutil
import sys
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.shared.addresses import is_loopback
from emostream.shared.config import Display, Recorder
from emostream.shared.errors import ConfigError
from emostream.shared.http_urls import page_url

OLDEST: Final = (3, 11)
NEWEST: Final = (3, 13)
# Resident memory of each stage on the demo, from `emostream bench` as in docs/performance.md; for
# the classifier by engine. The relay is not in that table.
STAGE_MB: Final = {"capture": 173, "detector": 168, "recorder": 107, "display": 100, "relay": 41}
CLASSIFIER_MB: Final = {"litert": 148, "onnxruntime": 148, "keras": 700}
# With less than this, a database cannot even be created.
MIN_GB: Final = 0.1


@dataclass(frozen=True)
class Processor:
    """The CPU: the cores that this process may use, and its flags, None if unknown."""

    cores: float
    machine: str
    flags: frozenset[str] | None


@dataclass(frozen=True)
class Disk:
    """The location of recordings; `below` is the nearest existing folder above it.

    `free` and `stored` (the current size of the folder) are in bytes.
    """

    folder: Path
    below: Path
    is_folder: bool
    writable: bool
    free: int
    stored: int


@dataclass(frozen=True)
class Desktop:
    """Whether there is a desktop, the browser ("" for none), and why no window opens, or ""."""

    there: bool
    browser: str
    window_failure: str


def check_python(version: Sequence[int]) -> Finding:
    """Check the version of Python."""
    found = ".".join(map(str, version[:3]))
    supported = f"{_dotted(OLDEST)} to {_dotted(NEWEST)}"
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        advice = (
            f"install one of {supported} and select it: make run PYTHON=python{_dotted(NEWEST)}"
        )
        return problem("Python", f"{found}, but emostream needs {supported}", advice)
    return good("Python", f"{found} (supported: {supported})")


def probe_processor() -> Processor:
    """Look at the CPU."""
    cores: float = os.cpu_count() or 1
    if sys.platform == "linux":
        cores = min(len(os.sched_getaffinity(0)), _quota(Path("/sys/fs/cgroup/cpu.max")))
    return Processor(cores, platform.machine(), _flags(Path("/proc/cpuinfo")))


def check_processor(processor: Processor, engine: str) -> Finding:
    """Check the CPU, for a classifier on this engine."""
    cores = f"{processor.cores:g} core{'' if processor.cores == 1 else 's'}, {processor.machine}"
    x86 = processor.machine.lower() in ("x86_64", "amd64")
    if engine == "keras" and x86 and processor.flags is not None and "avx" not in processor.flags:
        return problem(
            "processor",
            f"{cores}, without AVX, which TensorFlow needs",
            "set classifier.engine=litert",
        )
    if processor.cores < 2:
        advice = "request fewer or smaller pictures (sources.fps, width, height), or set tiles = 0"
        return warning("processor", f"{cores}: frames will be dropped", advice)
    return good("processor", cores)


def check_memory(available: int, stages: Sequence[str], engine: str) -> Finding:
    """Check the available memory, in bytes."""
    sizes = STAGE_MB | {"classifier": CLASSIFIER_MB[engine]}
    needed = sum(sizes[stage] for stage in stages) * 1_000_000
    found = f"{available / 1e9:.1f} GB available, about {needed / 1e9:.1f} GB needed"
    if available < needed:
        return warning("memory", found, "close other programs, or move a stage to another host")
    return good("memory", found)


def check_clock(now: float, written: float) -> Finding:
    """Compare the clock with the newest of this program's files, both in s since the epoch."""
    shown = time.strftime("%Y-%m-%d %H:%M", time.localtime(now))
    # Files from another host may be some hours ahead.
    if now < written - 86_400:
        return warning(
            "clock",
            f"{shown}, before this version was released",
            "set it (timedatectl set-ntp true): frames, tracks and recordings use it",
        )
    return good("clock", shown)


def newest_file() -> float:
    """Return when the newest of these files was written, in s since the epoch."""
    return max(path.stat().st_mtime for path in Path(__file__).parent.glob("*.py"))


def probe_disk(settings: Recorder) -> Disk:
    """Look at the disk of the recordings."""
    folder = Path(settings.folder).absolute()
    below = next(path for path in (folder, *folder.parents) if path.exists())
    files = folder.rglob("*") if folder.is_dir() else ()
    return Disk(
        folder,
        below,
        below.is_dir(),
        os.access(below, os.W_OK | os.X_OK),
        shutil.disk_usage(below).free,
        sum(path.stat().st_size for path in files if path.is_file()),
    )


def check_disk(disk: Disk, settings: Recorder) -> Finding:
    """Check the location of recordings and its free space."""
    elsewhere = "set recorder.folder to another location"
    free, stored = disk.free / 1e9, disk.stored / 1e9
    if not disk.is_folder:
        return problem("disk", f"{disk.below} is not a folder", elsewhere)
    if not disk.writable:
        advice = f"allow this user to write there, or {elsewhere}"
        return problem("disk", f"{disk.below} cannot be written to", advice)
    if free < MIN_GB:
        return problem(
            "disk", f"{disk.below} is full ({free:.2f} GB free)", f"free some space, or {elsewhere}"
        )
    found = f"{free:.1f} GB free for {disk.folder}, {stored:.1f} of {settings.max_gb:g} GB used"
    if free < settings.max_gb - stored:
        fits = math.floor((free + stored) * 9) / 10
        return warning("disk", found, f"set recorder.max_gb to {fits:g} or less, or {elsewhere}")
    return good("disk", found)


def probe_desktop(settings: Display) -> Desktop:
    """Check for a desktop and a browser; try a window if the configuration needs one."""
    there = sys.platform != "linux" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    try:
        browser = webbrowser.get().name
    except webbrowser.Error:
        browser = ""
    return Desktop(there, browser, _try_window() if settings.window else "")


def check_desktop(desktop: Desktop, settings: Display) -> list[Finding]:
    """Check how the page can be viewed, and the window if it is needed."""
    url = page_url(settings)
    scheme, port = url.partition(":")[0], settings.page.rpartition(":")[2]
    if desktop.there and desktop.browser:
        found = [good("page", f"{url}, in {desktop.browser}")]
    else:
        what = "browser" if desktop.there else "desktop"
        advice = (
            f"from another machine: ssh -L {port}:127.0.0.1:{port} USER@THIS_HOST,"
            f" and there {scheme}://127.0.0.1:{port}"
            if is_loopback(settings.page.rpartition(":")[0])
            else "from another machine: the same URL with this host's address"
        )
        found = [good("page", f"{url}; there is no {what} here", advice)]
    if settings.window and desktop.window_failure:
        failure, _, advice = desktop.window_failure.partition("; ")
        found.append(problem("window", failure, advice))
    elif settings.window:
        found.append(good("window", "can be opened"))
    return found


def _try_window() -> str:
    try:
        # OpenCV is loaded only if a window is needed.
        from emostream.services.display.desktop_window import check_desktop

        check_desktop()
    except (ConfigError, ImportError) as error:
        return str(error)
    return ""


def _quota(path: Path) -> float:
    """Return the cores within the container's limit; infinity without one."""
    try:
        quota, period = path.read_text("utf-8").split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if quota == "max" else int(quota) / int(period)


def _flags(path: Path) -> frozenset[str] | None:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith(("flags", "Features"))), None)
    return None if line is None else frozenset(line.partition(":")[2].split())


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
