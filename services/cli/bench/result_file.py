"""Result files: measured figures with the machine and versions, in a common format."""

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

# The packages that determine the speed; a host that only classifies lacks some.
PACKAGES: Final = (
    *("emostream", "ai-edge-litert", "av", "keras", "msgpack", "msgspec", "numpy", "onnxruntime"),
    *("opencv-python", "pyzmq", "tensorflow"),
)
CPU_INFO: Final = Path("/proc/cpuinfo")

Better: TypeAlias = Literal["lower", "higher", ""]
Name: TypeAlias = Annotated[str, Meta(min_length=1)]


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure over several runs: median, lowest, highest, and unit.

    `better` is the direction of improvement; "" if there is none, as for a number of frames.
    """

    median: float
    range: tuple[float, float]
    unit: str
    better: Better = "lower"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine: CPU model, cores, memory in GB, and system."""

    cpu: str
    cores: int
    memory_gb: float
    os: str


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """A result file: what was measured, the command, machine, versions, date, and figures by name.

    `details` has more data for this kind of measurement, such as the points of a plot.
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
        """Return the results of this process on this machine.

        `command` is the command that started it, without options.
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
        """Read a file; ConfigError if it is not a result file."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not a result file written by --out: {error}") from error

    def write(self, path: Path) -> None:
        """Write it atomically; EmostreamError if that fails."""
        tree = msgspec.to_builtins(self)
        try:
            with atomic_file(path) as part:
                part.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")
        except OSError as error:
            raise EmostreamError(
                f"cannot write {path}: {error.strerror}. Free some space or choose another --out"
            ) from error


def figure(values: Sequence[float], unit: str, better: Better = "lower") -> Figure:
    """Return the figure over the runs; `values` has at least one value."""
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
    """Return the description of this machine."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        os=platform.platform(),
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and the installed packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """Return the CPU model, or its architecture if the system does not name it."""
    try:
        lines = CPU_INFO.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _rounded(value: float) -> float:
    """Return the value with four significant digits; more are noise, and change every line."""
    return float(f"{value:.4g}")
