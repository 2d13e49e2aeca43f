"""The CPU time and memory of a command and its descendant processes."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from emostream.shared.errors import EmostreamError

LOOK_EVERY: Final = 0.5
MEGABYTE: Final = 1e6
ACTORS: Final = "actors"
# By text in their command lines; the first match applies.
KINDS: Final = {
    "ChunkActor": ACTORS,
    "ray::": "other Ray workers",
    "gcs_server": "gcs",
    "raylet": "raylet",
    "emostream batch": "driver",
}


@dataclass
class Sample:
    """At `seconds` after the start: resident MB of the largest process of each kind."""

    seconds: float
    done: int
    memory: dict[str, float]


@dataclass
class Use:
    """A command's cost: `cpu` is the total CPU time in s, `events` are its output lines."""

    seconds: float = 0.0
    cpu: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def emostream(*words: object) -> list[str]:
    """Return the words of a command."""
    return [sys.executable, "-m", "emostream", *map(str, words)]


def measure(words: Sequence[str]) -> Use:
    """Run a command that prints JSON lines to its end; EmostreamError if it fails.

    Each process counts with its CPU time when it was last sampled.
    """
    use, cpu = Use(), dict[tuple[int, float], float]()
    began = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, bufsize=1)
    top = psutil.Process(process.pid)

    def read() -> None:
        assert process.stdout is not None
        use.events.extend(json.loads(line) for line in process.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    while process.poll() is None:
        memory: dict[str, float] = {}
        with contextlib.suppress(psutil.Error):
            for one in (top, *top.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    cpu[one.pid, one.create_time()] = times.user + times.system
                    kind = _kind(" ".join(one.cmdline()))
                    memory[kind] = max(memory.get(kind, 0.0), one.memory_info().rss / MEGABYTE)
        done = next((e.get("done", 0) for e in reversed(use.events) if e["event"] == "progress"), 0)
        use.samples.append(Sample(time.monotonic() - began, done, memory))
        time.sleep(LOOK_EVERY)
    reader.join()
    use.seconds, use.cpu = time.monotonic() - began, sum(cpu.values())
    if process.returncode:
        raise EmostreamError(f"{' '.join(words)} ended with {process.returncode}")
    return use


def _kind(line: str) -> str:
    return next((kind for part, kind in KINDS.items() if part in line), "other")
