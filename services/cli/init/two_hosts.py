"""Folders for two hosts, one with the classifier: configuration, Procfile and keys."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from emostream.services.cli.init.config_text import config_text
from emostream.services.cli.init.questions import Choices
from emostream.services.cli.processes import procfile
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.security import new_key
from emostream.shared.shipped_files import FOLDER_CONFIG

CAMERAS: Final = "cameras"
CLASSIFIER: Final = "classifier"
KEYS: Final = "keys"
# What each host receives from the other: face crops (never frames), and emotions.
CROPS: Final = ("faces",)
RESULTS: Final = ("emotion", "event")


@dataclass(frozen=True)
class TwoHosts:
    """The addresses of the hosts for each other."""

    cameras: str
    classifier: str

    @property
    def changes(self) -> dict[str, Any]:
        """The configuration keys that differ from the default, the same on both hosts."""
        default = Config()
        faces = f"tcp://{self.cameras}:{default.detector.bind.rpartition(':')[2]}"
        emotion = f"tcp://{self.classifier}:{default.classifier.bind.rpartition(':')[2]}"
        return {
            "security.folder": KEYS,
            "connect.faces": (faces,),
            "connect.emotion": (emotion,),
            "detector.bind": faces,
            "classifier.bind": emotion,
        }


def two_hosts(cameras: IPv4Address | None, classifier: IPv4Address | None) -> TwoHosts | None:
    """Return the hosts in the options, None without any; ConfigError for only one."""
    if cameras is None and classifier is None:
        return None
    if cameras is None or classifier is None:
        raise ConfigError("give both --camera-host and --classifier-host, or neither")
    if cameras == classifier:
        raise ConfigError(
            f"{cameras} cannot be both hosts; omit the addresses to run everything on one host"
        )
    return TwoHosts(str(cameras), str(classifier))


def files(
    hosts: TwoHosts, choices: Choices, stages: list[str], changes: Mapping[str, Any], program: str
) -> dict[str, str]:
    """Return the content of each file by path; assumes emostream on the other host's PATH."""
    here = [stage for stage in stages if stage != CLASSIFIER]
    text = config_text(choices.source, {**changes, **hosts.changes})
    return {
        f"{CAMERAS}/{FOLDER_CONFIG}": text,
        f"{CAMERAS}/{procfile.FILE}": procfile.procfile(FOLDER_CONFIG, here, program),
        f"{CLASSIFIER}/{FOLDER_CONFIG}": text,
        f"{CLASSIFIER}/{procfile.FILE}": procfile.procfile(FOLDER_CONFIG, [CLASSIFIER]),
    }


def write_keys(folder: Path, hosts: TwoHosts) -> None:
    """Create a key pair for each host, and allow each at the other with minimal topics."""
    cameras, classifier = new_key(), new_key()
    peer = Peer(CLASSIFIER, hosts.classifier, CROPS, (PeerKey(classifier.public),))
    _write(folder / CAMERAS, Own(CAMERAS, (cameras,)), peer)
    peer = Peer(CAMERAS, hosts.cameras, RESULTS, (PeerKey(cameras.public),))
    _write(folder / CLASSIFIER, Own(CLASSIFIER, (classifier,)), peer)


def next_steps(folder: Path, hosts: TwoHosts, honcho: str) -> str:
    """Return the instructions for the folders."""
    here, there = (shlex.quote(str(folder / name)) for name in (CAMERAS, CLASSIFIER))
    return (
        f"wrote {folder / CAMERAS} and {folder / CLASSIFIER}, each with its keys\n"
        f"copy to the other host: scp -r {there} {hosts.classifier}:\n"
        f"then remove {there} here: it contains that host's secret key\n"
        f"start it there, where emostream is installed with its group classifier: "
        f"cd {CLASSIFIER} && honcho start\n"
        f"start it here: cd {here} && {honcho} start"
    )


def _write(folder: Path, own: Own, peer: Peer) -> None:
    keys = KeyFolder(str(folder / KEYS))
    keys.write_own(own)
    keys.write_peers((peer,))
