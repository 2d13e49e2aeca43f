"""What a publisher says about its shared memory: where it is, and where in it a payload is."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from emostream.shared.fields import LARGEST_COUNT, Name, Number

TOKEN_BYTES: Final = 16

Identifier = Annotated[int, Meta(ge=0, lt=2**31)]
Token = Annotated[bytes, Meta(min_length=TOKEN_BYTES, max_length=TOKEN_BYTES)]


class Memory(msgspec.Struct, frozen=True):
    """Where a publisher's memory is: its process, its file descriptor, and its first bytes."""

    pid: Identifier
    fd: Identifier
    token: Token


class Offer(msgspec.Struct, frozen=True):
    """A publisher's memory, and the endpoint at which it is bound itself.

    A relay passes offers on, and may have other sources that make none. Its own endpoint differs.
    """

    memory: Memory
    endpoint: Name


class Reference(msgspec.Struct, frozen=True):
    """A payload of `size` bytes in the slot at byte `at`, put there by the `write`-th write."""

    memory: Memory
    at: Number
    write: Annotated[int, Meta(ge=1, le=LARGEST_COUNT)]
    size: Number
