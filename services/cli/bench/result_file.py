"""Files of measured figures, all of one shape, and where and with what they were measured."""

import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import msgspec
import psutil
from msgspec import Meta

from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import ConfigError, EmostreamError

# What decides how fast it is; a host that only classifies lacks some.
PACKAGES: Final = (
    *("emostream", "ai-edge-litert", "av", "keras", "msgpack", "msgspec", "numpy", "onnxruntime"),
    *("opencv-python", "pyzmq", "tensorflow"),
)
CPU_INFO: Final = Path("/proc/cpuinfo")

Better: TypeAlias = Literal["lower", "higher", ""]
Name: TypeAlias = Annotated[str, Meta(min_length=1)]


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure over some runs: its median, the lowest and the highest, and its unit.

    `better` says which way is an improvement; "" where neither is, as of a number of frames.
    """

    median: float
    range: tuple[float, float]
    unit: str
    better: Better = "lower"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured: the model of the processor, its cores, memory in GB, the system."""

    cpu: str
    cores: int
    memory_gb: float
    os: str


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, by which command, where, with what, when, and the figures by name.

    `details` are further facts of this kind of measurement, such as the points of a plot.
    """

    what: Name
    command: str
    date: str
    machine: Machine
    versions: Mapping[str, str]
    figures: Mapping[str, Figure]
    details: Mapping[str, Any] = {}

    @classmethod
    def of(
        cls,
        what: str,
        figures: Mapping[str, Figure],
        details: Mapping[str, Any] | None = None,
        command: str = "",
    ) -> Self:
        """Return the file of what this process has just measured, on this machine.

        `command` is what it was started as, without its options.
        """
        return cls(
            what=what,
            command=shlex.join([*(command or this_program()).split(), *sys.argv[1:]]),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=this_machine(),
            versions=versions(),
            figures=figures,
            details=details or {},
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; ConfigError where it is none."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} holds no results that --out has written: {error}") from error

    def write(self, path: Path) -> None:
        """Write it in one step; EmostreamError where that cannot be done."""
        tree = msgspec.to_builtins(self)
        try:
            with atomic_file(path) as part:
                part.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")
        except OSError as error:
            raise EmostreamError(
                f"cannot write {path}: {error.strerror}. Make room, or give another file to --out"
            ) from error


def figure(values: Sequence[float], unit: str, better: Better = "lower") -> Figure:
    """Return the figure over the runs; `values` has at least one."""
    return Figure(
        median=_rounded(statistics.median(values)),
        range=(_rounded(min(values)), _rounded(max(values))),
        unit=unit,
        better=better,
    )


def this_program() -> str:
    """Return how this program was started: as a module or by its name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        return Path(sys.argv[0]).name
    name = spec.name.removesuffix(".__main__")
    return "emostream" if name == "emostream" else f"python -m {name}"


def this_machine() -> Machine:
    """Return what this machine is."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        os=platform.platform(),
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """Return the model of the processor; its architecture where the system does not name it."""
    try:
        lines = CPU_INFO.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _rounded(value: float) -> float:
    """Return the value with four significant digits: more is noise, and a change of each line."""
    return float(f"{value:.4g}")
