"""Detector weights: their locations, and the download of YuNet's with a known sha256."""

import hashlib
import importlib.metadata
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import WeightsError

YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_URL = (
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/" + YUNET_FILE
)
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
CHUNK = 1 << 16

# Called with the bytes received, and the total if the server declares it.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector's weights: a short description, the file's content and its path."""

    origin: str
    content: bytes
    path: Path

    @property
    def sha256(self) -> str:
        """The content's sha256."""
        return hashlib.sha256(self.content).hexdigest()


def cache_folder() -> Path:
    """Return the folder of emostream in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "emostream"


def yunet_path() -> Path:
    """Return the path of downloaded YuNet weights."""
    return cache_folder() / YUNET_FILE


def packaged_file(package: str, name: str) -> Path | None:
    """Return a file of an installed package by name; None if it does not exist."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(os.fspath(file.locate())) for file in files)
    return next((path for path in paths if path.name == name and path.is_file()), None)


def fetch_yunet(
    target: Path | None = None,
    *,
    url: str = YUNET_URL,
    sha256: str = YUNET_SHA256,
    timeout: float = 30.0,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Download YuNet's weights to `target` (by default `yunet_path()`) and return the path.

    An existing file with the right `sha256` is kept. The file is written completely or not at all.
    The server may be silent for `timeout` seconds, and take ten times as long in total. Raises
    WeightsError, with advice, if anything fails.
    """
    target = target or yunet_path()
    try:
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as part:
            digest = _download(url, part, timeout, progress)
            if digest != sha256:
                raise WeightsError(
                    f"{url} gave a file with sha256 {digest}, not {sha256}, and was discarded;"
                    " try again, or get the file elsewhere and set `detector.weights`"
                )
    except OSError as error:
        raise WeightsError(f"{target} cannot be written: {error}") from error
    return target


def _download(url: str, part: Path, timeout: float, progress: Progress) -> str:
    """Download `url` to `part` and return its sha256."""
    advice = "check the network, or get the file elsewhere and set `detector.weights`"
    try:
        with urlopen(url, timeout=timeout) as response:
            return _copy(response, part, time.monotonic() + 10 * timeout, progress)
    except HTTPError as error:
        error.close()
        raise WeightsError(f"{url} answered {error.code} {error.reason}: {advice}") from error
    except (URLError, TimeoutError, HTTPException, ConnectionError, ValueError) as error:
        raise WeightsError(f"{url} cannot be fetched ({error}): {advice}") from error


def _copy(response: HTTPResponse, part: Path, deadline: float, progress: Progress) -> str:
    length = response.headers.get("Content-Length")
    total = int(length) if length else None
    digest, done = hashlib.sha256(), 0
    with part.open("wb") as file:
        while chunk := response.read1(CHUNK):
            if time.monotonic() > deadline:
                raise TimeoutError("it arrives too slowly")
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    return digest.hexdigest()
