"""Two hosts, as network namespaces: who gets in, and that nothing plain is on the wire."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.thin_link.namespaces import FAR_ADDRESS, NEAR_ADDRESS, ThinLink
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.security import new_key
from emostream.shared.shipped_files import ROOT
from tests.encrypted_ends import CASES

ENDPOINT: Final = f"tcp://{NEAR_ADDRESS}:5551"


def make_keys(folder: Path) -> None:
    """Give the server and each case keys, and let in those that are allowed."""
    own = {name: new_key() for name in ("server", *CASES)}
    for name, key in own.items():
        KeyFolder(str(folder / name)).write_own(Own(name, (key,)))
    for case in CASES:
        expected = own["stranger" if case == "wrong_server" else "server"]
        peer = Peer("server", NEAR_ADDRESS, (), (PeerKey(expected.public),))
        KeyFolder(str(folder / case)).write_peers((peer,))
    KeyFolder(str(folder / "server")).write_peers(
        tuple(
            Peer(case, FAR_ADDRESS, ("emotion",) * (case == "limited"), (PeerKey(key.public),))
            for case, key in own.items()
            if case not in ("server", "stranger")
        )
    )


def results(link: ThinLink, folder: Path, mode: str) -> dict[str, Any]:
    def inside(namespace: str, action: str) -> list[str]:
        words = (sys.executable, "-m", "tests.encrypted_ends", action, ENDPOINT, str(folder), mode)
        return link.inside(namespace, *words)

    with subprocess.Popen(inside(link.near, "publish"), cwd=ROOT) as publisher:
        try:
            command = inside(link.far, "listen")
            answer = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, timeout=60, cwd=ROOT
            )
        finally:
            publisher.kill()
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_only_who_is_allowed_receives_and_nothing_plain_is_sent(
    link: ThinLink, tmp_path: Path
) -> None:
    make_keys(tmp_path)
    found = results(link, tmp_path, "auto")
    assert found["allowed"] > 50
    assert found["revoked"] > 10
    refused = ("stranger", "wrong_server", "limited", "plain", "after_revoked")
    assert {case: found[case] for case in refused} == dict.fromkeys(refused, 0)
    assert found["bytes"] > 10_000
    assert (found["headers"], found["pixels"]) == (0, 0)


@pytest.mark.evidence
def test_the_capture_sees_what_is_plain(link: ThinLink, tmp_path: Path) -> None:
    make_keys(tmp_path)
    found = results(link, tmp_path, "disabled")
    assert found["plain"]
    assert found["headers"] > 50
    assert found["pixels"] > 50
