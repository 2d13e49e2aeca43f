"""Failed handshakes are counted one by one, and logged once a minute."""

import logging

import pytest

from emostream.shared.handshake_failures import HandshakeFailures


def test_each_is_counted_and_a_minutes_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    counted = 0

    def count(_: str, more: int) -> None:
        nonlocal counted
        counted += more

    failures = HandshakeFailures(count)
    for now in (0.0, 1.0, 59.0, 61.0):
        failures.count("tcp://10.0.0.1:5553", now)
    assert counted == 4
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("tcp://10.0.0.1:5553: 1 encrypted connection failed")
    assert second.startswith("tcp://10.0.0.1:5553: 3 encrypted connections failed")


@pytest.mark.parametrize(
    ("connects", "advice"),
    [(False, "emostream keys list shows the allowed peers"), (True, "is not let in there")],
)
def test_each_side_is_told_what_to_look_at(
    caplog: pytest.LogCaptureFixture, connects: bool, advice: str
) -> None:
    caplog.set_level(logging.WARNING)
    HandshakeFailures().count("tcp://10.0.0.1:5553", 0.0, connects=connects)
    assert advice in caplog.text


def test_a_socket_is_counted_from_0_on() -> None:
    counts: list[tuple[str, int]] = []
    HandshakeFailures(lambda socket, more: counts.append((socket, more))).expect("tcp://a:1")
    assert counts == [("tcp://a:1", 0)]
