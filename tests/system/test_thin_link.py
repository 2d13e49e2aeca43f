"""What comes over a link that is too thin is fresh: two namespaces, joined at 300 kbit/s."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.thin_link.namespaces import NEAR_ADDRESS, ThinLink
from emostream.shared.shipped_files import ROOT
from tests.system.conftest import linked_hosts

ENDPOINT = f"tcp://{NEAR_ADDRESS}:5552"
KILOBITS = 300
LATENCY_MS = 50.0
SECONDS = 7.0
# Three crops of 64 x 64, with headers.
MESSAGE_S = 8 * 13_500 / (1000 * KILOBITS)
# It takes until then to find that the link is thin, and to empty the sockets.
SETTLED_S = 4.0


@pytest.fixture
def link() -> Iterator[ThinLink]:
    with linked_hosts(f"{KILOBITS}kbit", LATENCY_MS) as link:
        yield link


def ends(link: ThinLink, namespace: str, *arguments: str) -> list[str]:
    return link.inside(namespace, sys.executable, "-m", "tests.link_ends", *arguments)


@pytest.mark.evidence
def test_behind_a_thin_link_frames_are_few_and_fresh(link: ThinLink) -> None:
    publisher = subprocess.Popen(ends(link, link.near, "publish", ENDPOINT), cwd=ROOT)
    try:
        said = subprocess.check_output(
            ends(link, link.far, "listen", ENDPOINT, str(SECONDS)), cwd=ROOT, timeout=30
        )
    finally:
        publisher.kill()
        publisher.wait()
    seen = json.loads(said)
    own = MESSAGE_S + LATENCY_MS / 1000
    # Without a bound they were up to 5 s old.
    assert max(age for _, age in seen) < own + 0.2 + 0.3, seen
    settled = [age for at, age in seen if at > SETTLED_S]
    assert len(settled) > 0.5 * (SECONDS - SETTLED_S) / MESSAGE_S, seen
