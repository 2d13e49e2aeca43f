"""The cost of processes: CPU time and memory (PSS)."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

KILOBYTE = 1024
MEGABYTE = 1e6


@dataclass(frozen=True)
class Costs:
    """By stage: CPU time in s since its start, and memory (PSS) in MB."""

    cpu_s: dict[str, float]
    memory_mb: dict[str, float]

    @classmethod
    def of(cls, processes: Mapping[str, psutil.Process]) -> Self:
        """Return the costs of the running processes, by stage."""
        cpu, memory = {}, {}
        for stage, process in processes.items():
            with contextlib.suppress(psutil.Error, OSError):
                times = process.cpu_times()
                memory[stage] = proportional_mb(process)
                cpu[stage] = times.user + times.system
        return cls(cpu, memory)


def proportional_mb(process: psutil.Process) -> float:
    """Return the memory of a process in MB: a page that n processes share counts for 1/n (PSS).

    On systems without PSS, return resident memory, which counts shared pages in full. Raises
    OSError or psutil.Error if the process is gone.
    """
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return float(process.memory_info().rss) / MEGABYTE
    for line in rollup.read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KILOBYTE / MEGABYTE
    return 0.0
