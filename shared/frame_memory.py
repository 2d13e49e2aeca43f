"""Shared memory for the pixels of live frames, between a publisher and subscribers of its host.

The publisher writes payloads in turn to the slots of a Linux memfd, and sends references to them. A
subscriber opens the memfd through /proc, which the kernel allows to processes of the same user. The
memory belongs to no name: the kernel frees it with the last process that has it open.

Each slot begins with the number of its write, which is 0 while the slot is written. A reference
contains the number. A reader gets the reference after the write has ended, because sending and
receiving a message orders memory. It then copies the payload and compares the number again: if it
is still the same, nothing was overwritten while it copied.

For this, the number must change before the payload does, and must be compared after the payload was
read. x86 keeps the order of stores and of loads, except for the non-temporal stores of large
copies. Arm keeps neither. So `_fence` is between them, on both sides.
"""

import fcntl
import mmap
import os
import secrets
import stat
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from emostream.shared.errors import MessageError
from emostream.shared.memory_reference import TOKEN_BYTES, Memory, Reference
from emostream.shared.messages import Buffer

NAME: Final = "emostream-frames"
# What the link in /proc of a memfd with this name begins with.
LINK: Final = f"/memfd:{NAME}"
# The first page has the token. A slot has its number in the page before the payload, so that
# payloads are aligned.
PAGE: Final = 4096
NUMBER_BYTES: Final = 8
# A reader keeps the memory of this many payloads to use it again.
MOST_FREE: Final = 1

_lock = threading.Lock()


def _fence() -> None:
    """Let no load or store before this be reordered with one after it.

    Releasing a lock keeps what is before it before it, and acquiring one keeps what is after it
    after it. An acquisition stays behind an earlier release: on x86 both are atomic instructions
    that order everything, and Armv8 orders the two.
    """
    for _ in range(2):
        with _lock:
            pass


class FrameMemory:
    """The memory of a publisher, with `slots` payloads of up to `largest` bytes each.

    The file has its full size from the start, but takes memory only for the bytes that were
    written. Raises OSError if the system has no memfd, or does not allow one of this size.
    """

    def __init__(self, slots: int, largest: int) -> None:
        if not hasattr(os, "memfd_create"):
            raise OSError("no memfd on this system")
        self._largest = largest
        self._stride = PAGE + -(-largest // PAGE) * PAGE
        # By slot: how many bytes have memory.
        self._reserved = [0] * slots
        self._writes = 0
        self._fd = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self._fd, PAGE + slots * self._stride)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)
            token = secrets.token_bytes(TOKEN_BYTES)
            os.pwrite(self._fd, token, 0)
            self._bytes = _mapped(self._fd, mmap.PROT_READ | mmap.PROT_WRITE)
        except (OSError, ValueError):
            os.close(self._fd)
            raise
        self._numbers = self._bytes.view(np.uint64)
        self.memory = Memory(os.getpid(), self._fd, token)

    def write(self, payload: Buffer) -> Reference | None:
        """Copy a payload to the next slot; None if it is too large.

        Raises OSError if no memory is left.
        """
        source = np.frombuffer(payload, np.uint8)
        if source.size > self._largest:
            return None
        slot = self._writes % len(self._reserved)
        at = PAGE + slot * self._stride
        if source.size > self._reserved[slot]:
            # Otherwise SIGBUS would end the process if no memory is left.
            os.posix_fallocate(self._fd, at, PAGE + source.size)
            self._reserved[slot] = source.size
        self._writes += 1
        self._numbers[at // NUMBER_BYTES] = 0
        _fence()
        np.copyto(self._bytes[at + PAGE : at + PAGE + source.size], source)
        _fence()
        self._numbers[at // NUMBER_BYTES] = self._writes
        return Reference(self.memory, at, self._writes, source.size)

    def close(self) -> None:
        """Free the memory, once no reader has it open."""
        del self._numbers, self._bytes
        os.close(self._fd)


class FrameReader:
    """Copies payloads of up to `largest` bytes out of the memory of a publisher on this host."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._memory: Memory | None = None
        self._bytes = self._numbers = np.empty(0, np.uint8)
        self._free: deque[np.ndarray] = deque(maxlen=MOST_FREE)

    @property
    def is_open(self) -> bool:
        """Whether a publisher's memory is open."""
        return self._memory is not None

    def open(self, memory: Memory) -> None:
        """Open this memory instead of another one; MessageError if it cannot be opened."""
        if memory == self._memory:
            return
        self.close()
        with _opened(memory) as fd:
            content = _mapped(fd, mmap.PROT_READ)
        if content[:TOKEN_BYTES].tobytes() != memory.token:
            raise MessageError("memory", f"another token at {_path(memory)}")
        self._memory, self._bytes, self._numbers = memory, content, content.view(np.uint64)

    def read(self, reference: Reference) -> memoryview | None:
        """Return a copy of the payload, or None if its slot was overwritten.

        Raises MessageError if the memory cannot be opened or has no such slot.
        """
        self.open(reference.memory)
        at, begin, end = reference.at, reference.at + PAGE, reference.at + PAGE + reference.size
        if reference.size > self._largest or at < PAGE or at % PAGE or end > self._bytes.size:
            raise MessageError("memory", f"no slot of {reference.size} bytes at {at}")
        if self._numbers[at // NUMBER_BYTES] != reference.write:
            return None
        payload = self._buffer(reference.size)
        np.copyto(payload, self._bytes[begin:end])
        _fence()
        is_same = self._numbers[at // NUMBER_BYTES] == reference.write
        return payload.data if is_same else None

    def close(self) -> None:
        """Close the memory."""
        self._memory = None
        self._free.clear()
        self._bytes = self._numbers = np.empty(0, np.uint8)

    def _buffer(self, size: int) -> np.ndarray:
        """Return memory for a payload, if possible that of an earlier one which nobody has now.

        New memory costs a page fault for each 4 KiB.
        """
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        if memory.size != size:
            memory = np.empty(size, np.uint8)
        payload = memory[:]
        # Views of the payload keep it alive. The last of them may end on another thread.
        weakref.finalize(payload, self._free.append, memory).atexit = False
        return payload


def _mapped(fd: int, protection: int) -> np.ndarray:
    """Return the whole file as bytes; it is unmapped with the last array that refers to it."""
    size = os.fstat(fd).st_size
    return np.frombuffer(mmap.mmap(fd, size, mmap.MAP_SHARED, protection), np.uint8)


def _path(memory: Memory) -> Path:
    return Path(f"/proc/{memory.pid}/fd/{memory.fd}")


@contextmanager
def _opened(memory: Memory) -> Iterator[int]:
    """Open the memory for reading; MessageError if it is none, or could be cut off."""
    path = _path(memory)
    try:
        # Opening a device may have effects, so this comes first.
        if not str(path.readlink()).startswith(LINK):
            raise MessageError("memory", f"{path} is not a publisher's memory")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            status = os.fstat(fd)
            # A file that can be cut off ends the process that has it mapped, by SIGBUS.
            is_sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
            if not (stat.S_ISREG(status.st_mode) and is_sealed) or status.st_size % PAGE:
                raise MessageError("memory", f"{path} is not a sealed memory")
            yield fd
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        raise MessageError("memory", f"{path} cannot be opened: {error}") from error
