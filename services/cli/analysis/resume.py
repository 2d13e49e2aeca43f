"""Finds unfinished analyses, and the command to continue them."""

import argparse
import contextlib
import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from emostream.services.capture.folder import natural_order
from emostream.services.cli.analysis.prior_options import prior_words
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.log_options import log_words
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, RecordingError

WHOLE: Final = ("complete", "broken")


@dataclass(frozen=True)
class Analysis:
    """A started analysis: its results folder and its run file."""

    folder: Path
    record: RunFile

    @property
    def is_whole(self) -> bool:
        """Whether every frame was analyzed and every file written."""
        return self.record.status in WHOLE and bool(self.record.files)

    @property
    def input(self) -> Path:
        """The recording."""
        return Path(self.record.input.get("path", ""))

    @property
    def config(self) -> Config:
        """The configuration at its start; RecordingError if it is invalid in this release."""
        try:
            return msgspec.convert(self.record.config, Config)
        except msgspec.ValidationError as error:
            raise RecordingError(
                f"{self.folder}: started with a configuration that is no longer valid: {error}"
            ) from error


def analyses_in(out: Path) -> list[Analysis]:
    """Return all analyses of recordings in a results folder, in natural order of names."""
    found = []
    for folder in sorted(out.glob("*/"), key=lambda path: natural_order(path.name)):
        with contextlib.suppress(RecordingError):  # not the folder of an analysis
            found.append(Analysis(folder, RunFile.read(folder)))
    return found


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock the folder against other analyses; ConfigError if one is running in it."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ConfigError(f"{folder}: another emostream analyze is working on it") from error
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(lock)


def resume_command(options: argparse.Namespace, *, resume: bool, with_inputs: bool) -> str:
    """Return the command line that continues with the same options.

    Without the inputs, it takes everything from the run files in the results folder; without
    `resume`, it starts over.
    """
    words = [*_program(), "analyze", *(["--resume"] if resume else [])]
    words += ["--out", str(options.out)]
    if with_inputs:
        words += _settings(options)
    words += ["--recursive"] if with_inputs and options.recursive else []
    words += ["--no-video"] if options.no_video else []
    words += ["--json"] if options.json else []
    words += log_words(options)
    if with_inputs:
        words += ["--"] if any(name.startswith("-") for name in options.inputs) else []
        words += options.inputs
    return shlex.join(words)


def _settings(options: argparse.Namespace) -> list[str]:
    """Return the arguments that are otherwise taken from a run file."""
    words = ["--sample", options.sample] if options.sample else []
    words += prior_words(options)
    if options.config is not None:
        words += ["--config", str(options.config)]
    for setting in options.set:
        words += ["--set", setting]
    return words


def _program() -> list[str]:
    """Return the arguments that start this program, as short as the shell allows."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "emostream"]
    return [called.name] if shutil.which(called.name) else [str(called)]
