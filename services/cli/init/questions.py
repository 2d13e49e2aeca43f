"""The questions of `emostream init` on a terminal: camera, page and recording."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from emostream.services.cli.doctor.v4l2 import Camera, cameras
from emostream.shared.config import Config, Source

# Asks a yes/no question; the second argument is the default for Enter.
Ask: TypeAlias = Callable[[str, bool], bool]

ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False}


@dataclass(frozen=True)
class Choices:
    """The choices; without questions, the built-in demo with page and recorder."""

    source: Source = field(default_factory=Source)
    page: bool = True
    record: bool = True
    video: bool = False


def ask_all(ask: Ask, found: Sequence[Camera] | None) -> Choices:
    """Ask, and return the choices; `found` is None if cameras cannot be listed."""
    source = _ask_source(ask, found)
    page = ask(f"Show the page on http://{Config().display.page}?", True)
    record = ask(f"Record emotions and events in {Config().recorder.folder}/?", True)
    video = record and ask("Record annotated video too?", False)
    return Choices(source, page, record, video)


def list_cameras() -> list[Camera] | None:
    """Return the cameras that can be opened; None if the system does not list them."""
    if sys.platform != "linux":
        return None
    return [camera for camera in cameras() if not camera.failure]


def ask_on_terminal(question: str, default: bool) -> bool:
    """Ask on the terminal until the answer is yes or no; Enter selects the default."""
    choices = "[Y/n]" if default else "[y/N]"
    while True:
        answer = input(f"{question} {choices} ").strip().lower()
        if not answer:
            return default
        if answer in ANSWERS:
            return ANSWERS[answer]
        print("Please answer y or n.")


def _ask_source(ask: Ask, found: Sequence[Camera] | None) -> Source:
    if found is None:
        wanted = ask("Use the first camera of this machine?", True)
        return Source(name="webcam", url="camera:0") if wanted else Source()
    for camera in found:
        if ask(f"Use the camera {camera.path} ({camera.name})?", True):
            return Source(name="webcam", url=f"camera:{camera.path.removeprefix('/dev/video')}")
    if not found:
        print("No camera found; using the built-in demo.")
    return Source()
