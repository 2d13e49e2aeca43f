"""Frames in shared memory: what a reader gets, and what it refuses."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from emostream.shared import frame_memory
from emostream.shared.errors import MessageError
from emostream.shared.frame_memory import NAME, PAGE, FrameMemory, FrameReader
from emostream.shared.memory_reference import Memory, Reference

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="only Linux has such memory"
)

SLOTS: Final = 3
LARGEST: Final = 3 * PAGE


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def written(stack: ExitStack) -> FrameMemory:
    return stack.enter_context(closing(FrameMemory(SLOTS, LARGEST)))


@pytest.fixture
def reader(stack: ExitStack) -> FrameReader:
    return stack.enter_context(closing(FrameReader(LARGEST)))


def payload(number: int, size: int = 5000) -> bytes:
    return bytes([number]) * size


def put(memory: FrameMemory, number: int, size: int = 5000) -> Reference:
    reference = memory.write(payload(number, size))
    assert reference is not None
    return reference


def test_payloads_of_any_size_are_read_until_their_slot_is_written_again(
    written: FrameMemory, reader: FrameReader
) -> None:
    sizes = [5000, 1, LARGEST, 0, 4097, 12, LARGEST, 3, 9000]
    references = [put(written, number, size) for number, size in enumerate(sizes)]
    found = [read(reader, reference) for reference in references]
    assert found[:-SLOTS] == [None] * (len(sizes) - SLOTS)
    for number in range(len(sizes) - SLOTS, len(sizes)):
        assert found[number] == payload(number, sizes[number])


def test_a_payload_that_is_overwritten_while_it_is_read_is_lost(
    written: FrameMemory, reader: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, copy = put(written, 0), np.copyto

    def slowly(target: np.ndarray, source: np.ndarray) -> None:
        monkeypatch.setattr(np, "copyto", copy)
        copy(target, source)
        for number in range(1, 1 + SLOTS):
            put(written, number)

    monkeypatch.setattr(np, "copyto", slowly)
    assert reader.read(first) is None


def test_a_slot_that_is_being_written_is_not_read(
    written: FrameMemory, reader: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    references, copy = [put(written, number) for number in range(SLOTS)], np.copyto
    found = []

    def slowly(target: np.ndarray, source: np.ndarray) -> None:
        monkeypatch.setattr(np, "copyto", copy)
        found.append(reader.read(references[0]))
        copy(target, source)

    monkeypatch.setattr(np, "copyto", slowly)
    put(written, SLOTS)
    assert found == [None]


def test_what_was_read_does_not_change_while_somebody_has_it(
    written: FrameMemory, reader: FrameReader
) -> None:
    kept = [reader.read(put(written, number)) for number in range(10)]
    assert [bytes(each or b"") for each in kept] == [payload(number) for number in range(10)]
    views = [np.frombuffer(each, np.uint8)[1:] for each in kept if each is not None]
    del kept
    for number in range(10, 20):
        reader.read(put(written, number))
    assert [set(view) for view in views] == [{number} for number in range(10)]


def test_a_payload_that_is_too_large_is_not_written(written: FrameMemory) -> None:
    assert written.write(bytes(LARGEST + 1)) is None


def test_only_what_was_written_takes_memory(stack: ExitStack) -> None:
    large = stack.enter_context(closing(FrameMemory(6, 256_000_000)))
    put(large, 1, PAGE)
    assert os.fstat(large.memory.fd).st_blocks * 512 <= 4 * PAGE


def test_the_memory_cannot_be_cut_off_under_a_reader(written: FrameMemory) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(written.memory.fd, 0)


def test_without_memory_that_fits_the_error_says_so(
    written: FrameMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(OSError, match="No space left"):
        written.write(payload(1))


@pytest.mark.parametrize(
    "changed",
    [
        {"at": 0},
        {"at": PAGE + 8},
        {"at": 2**53 - PAGE},
        {"size": LARGEST + 1},
        {"at": PAGE + 2 * (PAGE + LARGEST), "size": LARGEST + 1},
        {"at": PAGE + SLOTS * (PAGE + LARGEST), "size": 1},
        {"at": SLOTS * (PAGE + LARGEST), "size": 1},
    ],
)
def test_a_reference_to_no_slot_is_refused(
    written: FrameMemory, reader: FrameReader, changed: dict[str, Any]
) -> None:
    reference = put(written, 1)
    with pytest.raises(MessageError, match="memory: no slot"):
        reader.read(msgspec.structs.replace(reference, **changed))
    assert read(reader, reference) == payload(1)


def read(reader: FrameReader, reference: Reference) -> bytes | None:
    """Return what the reader copies."""
    found = reader.read(reference)
    return None if found is None else bytes(found)


def memory_of(fd: int, token: bytes = bytes(16), pid: int | None = None) -> Memory:
    return Memory(os.getpid() if pid is None else pid, fd, token)


def opened(stack: ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def memfd(stack: ExitStack, seals: int, size: int = PAGE, name: str = NAME) -> int:
    fd = opened(stack, os.memfd_create(name, os.MFD_ALLOW_SEALING))
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def test_what_is_not_the_memory_of_a_publisher_is_not_opened(
    stack: ExitStack, written: FrameMemory, reader: FrameReader, tmp_path: Path
) -> None:
    file = tmp_path / f"memfd:{NAME}"
    file.write_bytes(bytes(PAGE))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    own = written.memory
    for said, memory in [
        ("another token", memory_of(own.fd)),
        ("cannot be opened", memory_of(2**31 - 1)),
        ("cannot be opened", memory_of(own.fd, own.token, pid=2**31 - 1)),
        ("cannot be opened", memory_of(own.fd, own.token, pid=0)),
        ("not a publisher's", memory_of(opened(stack, os.open(file, os.O_RDONLY)))),
        ("not a publisher's", memory_of(opened(stack, os.open("/dev/null", os.O_RDONLY)))),
        ("not a publisher's", memory_of(opened(stack, os.open(fifo, os.O_RDWR)))),
        ("not a publisher's", memory_of(memfd(stack, fcntl.F_SEAL_SHRINK, name="other"))),
        ("not a sealed", memory_of(memfd(stack, fcntl.F_SEAL_GROW))),
        ("not a sealed", memory_of(memfd(stack, fcntl.F_SEAL_SHRINK, size=PAGE + 1))),
        ("cannot be opened", memory_of(memfd(stack, fcntl.F_SEAL_SHRINK, size=0))),
    ]:
        reader.open(own)
        with pytest.raises(MessageError, match=f"memory: .*{said}"):
            reader.open(memory)
        assert not reader.is_open


def test_only_memory_that_is_open_stays_allocated(reader: FrameReader) -> None:
    memory = FrameMemory(SLOTS, LARGEST)
    reference = put(memory, 1)
    reader.open(memory.memory)
    memory.close()
    assert read(reader, reference) == payload(1)
    assert mapped()
    reader.close()
    assert not mapped()


def mapped() -> bool:
    """Whether this process still has a publisher's memory."""
    return f"memfd:{NAME}" in Path("/proc/self/maps").read_text("utf-8")


def test_a_system_without_memfd_is_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(OSError, match="no memfd"):
        FrameMemory(SLOTS, LARGEST)


def test_the_copies_are_ordered_by_fences(
    written: FrameMemory, reader: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    copy = np.copyto
    monkeypatch.setattr(frame_memory, "_fence", lambda: order.append("fence"))

    def copied(target: np.ndarray, source: np.ndarray) -> None:
        order.append("copy")
        copy(target, source)

    monkeypatch.setattr(np, "copyto", copied)
    reader.read(put(written, 1))
    assert order == ["fence", "copy", "fence", "copy", "fence"]
