"""Checks the configured sources, and lists the machine's cameras."""

import dataclasses
import errno
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from emostream.services.capture.source_url import SourceKind, camera_device, local_path, source_kind
from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.services.cli.doctor.ports import program
from emostream.services.cli.doctor.v4l2 import Camera, Format, Size, cameras
from emostream.shared.config import Source
from emostream.shared.config.secrets import resolve
from emostream.shared.errors import ConfigError, SourceError
from emostream.shared.plural import counted
from emostream.shared.source_urls import hide, redact

REACH_WITHIN_S: Final = 1.0
DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935}
# Connecting is not a useful check for these: they have no connection, or none before the first
# picture.
UNCONNECTED: Final = ("udp", "rtp", "srt")
SHOWN_SIZES: Final = 3
IN_A_BOX: Final = "in a container or virtual machine, pass the device through (docker run --device)"
PERMIT: Final = "allow it: sudo usermod -aG video $USER, then log in again"
MACOS: Final = "allow the terminal to use the camera in System Settings, Privacy & Security, Camera"


@dataclass(frozen=True)
class SourceProbe:
    """A configured source: what is known about it, and why it cannot be read, or ""."""

    settings: Source
    note: str = ""
    failure: str = ""


def findings(sources: Sequence[Source]) -> list[Finding]:
    """Check the machine's cameras and each source."""
    listed = cameras() if sys.platform == "linux" else None
    found = check_cameras(listed) if listed is not None else [_other_system()]
    return [*found, *(_source_finding(source, listed) for source in sources)]


def _source_finding(source: Source, listed: Sequence[Camera] | None) -> Finding:
    try:
        opened, secrets = resolve(source)
    except ConfigError as error:
        return problem(f"source {source.name}", str(error), "set it where you start the pipeline")
    if _is_camera(opened):
        path = camera_path(opened)
        busy = any(camera.busy and camera.path == path for camera in listed or ())
        return check_camera(opened, listed, users(path) if busy else ())
    finding = check_source(probe(opened))
    return dataclasses.replace(finding, found=hide(finding.found, secrets))


def camera_path(source: Source) -> str:
    """Return the device file of a camera on Linux."""
    device = camera_device(source.url)
    return f"/dev/video{device}" if isinstance(device, int) else str(Path(device).resolve())


def users(path: str) -> list[str]:
    """Return the programs that have the device open, as far as this user can see."""
    pids = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == path:
                pids.add(int(link.parts[2]))
        except OSError:
            continue  # the file was closed in the meantime, or the process is another user's
    return [program(pid) for pid in sorted(pids)]


def probe(source: Source) -> SourceProbe:
    """Check a source that is no camera."""
    try:
        match source_kind(source.url):
            case SourceKind.NETWORK:
                return _probe_network(source)
            case SourceKind.FOLDER:
                return _probe_folder(source)
            case SourceKind.FILE:
                return _probe_file(source)
            case _:
                return SourceProbe(source, "the built-in demo")
    except SourceError as error:
        return SourceProbe(source, failure=str(error).removeprefix(f"{redact(source.url)}: "))


def check_cameras(found: Sequence[Camera]) -> list[Finding]:
    """Check the cameras of the machine, whether or not the configuration names them."""
    if not found:
        return [good("cameras", "none on this machine")]
    return [_listed(camera) for camera in found]


def check_camera(
    source: Source, found: Sequence[Camera] | None, used_by: Sequence[str] = ()
) -> Finding:
    """Check a source that names a camera; `found` is None if cameras cannot be listed."""
    check = f"source {source.name}"
    if found is None:
        return good(check, f"{source.url}: can only be checked when it is opened", MACOS)
    path = camera_path(source)
    camera = next((one for one in found if one.path == path), None)
    if camera is None:
        others = ", ".join(one.path for one in found)
        advice = f"use {others} instead" if others else f"plug one in; {IN_A_BOX}"
        return problem(check, f"{source.url}: camera {path} does not exist", advice)
    if camera.failure:
        return problem(check, f"{path}: {_reason(camera)}", _advice(camera))
    if camera.busy:
        who = ", ".join(used_by) or "another program"
        return problem(check, f"{path} is in use by {who}", "close that program first")
    if not camera.formats:
        return problem(check, f"{path} offers no format", "unplug it and plug it in again")
    return _check_mode(check, source, camera)


def check_source(probed: SourceProbe) -> Finding:
    """Check a source that is no camera."""
    check, url = f"source {probed.settings.name}", redact(probed.settings.url)
    if probed.failure:
        return problem(check, f"{url}: {probed.failure}", "fix its url under capture.sources")
    return good(check, probed.note)


def _check_mode(check: str, source: Source, camera: Camera) -> Finding:
    """Compare the configured size and rate with those that the camera offers."""
    sizes = [size for form in camera.formats for size in form.sizes]
    best = max(sizes, key=lambda size: (size.width * size.height, size.rate or 0), default=None)
    if best is None or not (source.width and source.height):
        return good(check, f"{camera.path} ({camera.name}) is free")
    wanted = f"{source.width} x {source.height}"
    same = [s for s in sizes if (s.width, s.height) == (source.width, source.height)]
    if not same:
        return warning(
            check,
            f"{camera.path} does not offer {wanted}; the driver will choose another size",
            f"its largest is {_size(best)}: set the source's width and height to a listed size",
        )
    rate = max((size.rate or 0 for size in same), default=0)
    if source.fps and rate and source.fps > rate:
        return warning(
            check,
            f"{camera.path} gives {wanted} at {rate:g} fps at most, not {source.fps:g}",
            "lower the source's fps, or choose a smaller size",
        )
    return good(check, f"{camera.path} ({camera.name}) is available and offers {_size(same[0])}")


def _listed(camera: Camera) -> Finding:
    check = f"camera {camera.path}"
    if camera.failure:
        return warning(check, f"{camera.name}: {_reason(camera)}", _advice(camera))
    formats = "; ".join(map(_format, camera.formats)) or "no format"
    return good(check, f"{camera.name}: {formats}{' (in use)' if camera.busy else ''}")


def _format(form: Format) -> str:
    sizes = ", ".join(map(_size, form.sizes[:SHOWN_SIZES]))
    more = len(form.sizes) - SHOWN_SIZES
    return f"{form.code} {sizes}{f' and {more} smaller' if more > 0 else ''}".strip()


def _size(size: Size) -> str:
    return f"{size.width} x {size.height}" + (f" at {size.rate:g}/s" if size.rate else "")


def _reason(camera: Camera) -> str:
    if camera.failure in (errno.EACCES, errno.EPERM):
        return "this user is not allowed to open it"
    return f"it cannot be opened ({os.strerror(camera.failure)})"


def _advice(camera: Camera) -> str:
    if camera.failure in (errno.EACCES, errno.EPERM):
        return PERMIT
    return f"unplug it and plug it in again; {IN_A_BOX}"


def _is_camera(source: Source) -> bool:
    try:
        return source_kind(source.url) is SourceKind.CAMERA
    except SourceError:
        return False


def _other_system() -> Finding:
    """List the cameras' names from PyAV, for systems without V4L2."""
    try:
        from av.device import enumerate_input_devices

        names = [device.description for device in enumerate_input_devices("avfoundation")]
    except (ImportError, ValueError, OSError):
        return good("cameras", "cameras cannot be listed on this system; camera:0 is the first")
    return good("cameras", ", ".join(names) or "none on this machine")


def _probe_network(source: Source) -> SourceProbe:
    parts = urlsplit(source.url)
    scheme = parts.scheme.lower()
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORTS.get(scheme)
    except ValueError as error:
        return SourceProbe(source, failure=f"no address ({error})")
    if scheme in UNCONNECTED or host is None or port is None:
        return SourceProbe(source, f"{redact(source.url)} (not checked)")
    try:
        socket.create_connection((host, port), REACH_WITHIN_S).close()
    except OSError as error:
        return SourceProbe(
            source, failure=f"{host}:{port} does not answer ({error.strerror or error})"
        )
    return SourceProbe(source, f"{host}:{port} answers")


def _probe_folder(source: Source) -> SourceProbe:
    folder = local_path(source.url)
    try:
        count = sum(path.is_file() for path in folder.iterdir())
    except OSError as error:
        return SourceProbe(source, failure=f"cannot be read ({error.strerror})")
    if not count:
        return SourceProbe(source, failure="an empty folder")
    return SourceProbe(source, f"a folder of {counted(count, 'file')}")


def _probe_file(source: Source) -> SourceProbe:
    try:
        with local_path(source.url).open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        return SourceProbe(source, failure=error.strerror or str(error))
    if empty:
        return SourceProbe(source, failure="the file is empty")
    return SourceProbe(source, "can be read")
