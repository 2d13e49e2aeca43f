"""The bounds of the HTTP servers that need no socket: wrong tokens, repeated lines, open files."""

import logging
import subprocess
import sys

import pytest

from emostream.shared import token_guesses
from emostream.shared.http_connections import LOG_INTERVAL_S, RepeatFilter
from emostream.shared.token_guesses import MAX_GUESSES, TokenGuesses
from tests.builders import Clock


def guess(guesses: TokenGuesses, address: str, count: int) -> None:
    for _ in range(count):
        guesses.count(address)


def test_too_many_wrong_tokens_at_once_close_an_address_and_no_other() -> None:
    clock = Clock()
    guesses = TokenGuesses(clock)
    guess(guesses, "192.0.2.7", MAX_GUESSES - 1)
    assert not guesses.are_too_many("192.0.2.7")
    guess(guesses, "192.0.2.7", 1)
    assert guesses.are_too_many("192.0.2.7")
    assert not guesses.are_too_many("192.0.2.8")
    clock.now += 1
    assert not guesses.are_too_many("192.0.2.7")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("", "", True),
    ],
)
def test_a_client_s_addresses_are_one(one: str, other: str, same: bool) -> None:
    guesses = TokenGuesses(Clock())
    guess(guesses, one, MAX_GUESSES)
    assert guesses.are_too_many(other) is same


def test_the_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_guesses, "MAX_ADDRESSES", 3)
    guesses = TokenGuesses(Clock())
    for host in range(4):
        guess(guesses, f"192.0.2.{host}", MAX_GUESSES)
    assert [guesses.are_too_many(f"192.0.2.{host}") for host in range(4)] == [False, *[True] * 3]


def test_the_same_message_is_logged_once_a_minute() -> None:
    clock = Clock()
    repeats = RepeatFilter(clock)

    def passes(message: str, number: int) -> bool:
        return repeats.filter(logging.makeLogRecord({"msg": message, "args": (number,)}))

    assert [passes("bad %s", n) for n in range(3)] == [True, False, False]
    assert passes("worse %s", 1)
    clock.now += LOG_INTERVAL_S
    assert passes("bad %s", 4)


def test_the_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    program = (
        "import resource; from emostream.shared.open_files import *; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300)); raise_open_files_limit(); "
        "print(open_files_limit())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("300\n", "")
