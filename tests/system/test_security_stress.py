"""Keys change while traffic flows, contexts close under load, two processes have one key."""

import socket
from pathlib import Path

import pytest

from benchmarks.security_stress import stress


@pytest.mark.evidence
def test_nothing_crashes_while_keys_change_and_contexts_close(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = stress(tmp_path, repetitions=15, port=port)
    assert outcome.codes == [0, 0, 0]
    assert all(outcome.received), outcome
