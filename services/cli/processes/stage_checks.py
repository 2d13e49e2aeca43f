"""Finds errors that would prevent a stage's start, without starting it, for `--check-config`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emostream.shared.addresses import TCP, shifted_port
from emostream.shared.config import Config
from emostream.shared.config.secrets import resolve
from emostream.shared.errors import RecordingError
from emostream.shared.http_access import metrics_access, page_access
from emostream.shared.security import check_stage_keys


def check_stage(stage: str, config: Config, instance: int) -> None:
    """Check the addresses that the stage binds, and the files and variables that it needs.

    Free ports are checked by `emostream doctor`, not here. Raises the same error as the start.
    """
    settings = getattr(config, stage)
    for key in ("bind", "metrics", "page"):
        address = getattr(settings, key, "")
        # Skip Unix sockets and keys that this stage does not have.
        match = TCP.fullmatch(address if "://" in address else f"tcp://{address}")
        if match and match["port"] != "*":
            shifted_port(int(match["port"]), instance)
    metrics_access(config, stage)
    check_stage_keys(config, stage, instance)
    CHECKS[stage](config)


def _check_capture(config: Config) -> None:
    # Imported here and below, so that the check of a stage does not need another's packages.
    from emostream.services.capture.source_url import source_kind

    for source in config.capture.sources:
        opened, _ = resolve(source)
        source_kind(opened.url)


def _check_detector(config: Config) -> None:
    from emostream.services.detector.process import new_detector, selected

    new_detector(config.detector, selected(config.detector))


def _check_classifier(config: Config) -> None:
    from emostream.services.classifier.process import open_model
    from emostream.services.classifier.ray_gateway import check_ray

    check_ray(config.classifier)
    open_model(config.classifier)


def _check_recorder(config: Config) -> None:
    folder = Path(config.recorder.folder).absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise RecordingError(f"recorder.folder {folder} cannot be created: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RecordingError(
            f"recorder.folder {folder}: this user is not allowed to write in {there}"
        )


def _check_display(config: Config) -> None:
    page_access(config)


def _check_relay(config: Config) -> None:
    from emostream.services.relay.process import check_delivery

    check_delivery(config)


CHECKS: Final[dict[str, Callable[[Config], None]]] = {
    "capture": _check_capture,
    "detector": _check_detector,
    "classifier": _check_classifier,
    "recorder": _check_recorder,
    "display": _check_display,
    "relay": _check_relay,
}
