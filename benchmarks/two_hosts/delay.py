"""Forwards TCP connections with a delay in each direction, to simulate a distant host.

`python -m benchmarks.two_hosts.delay SECONDS LISTEN_PORT HOST PORT ...`, for any number of targets.
It replaces the kernel's netem, which is not available everywhere.
"""

import asyncio
import contextlib
import sys
from typing import Final

CHUNK: Final = 65_536
# The maximum data in transit in one direction: more than a second of a fast link.
QUEUE: Final = 4096


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
) -> None:
    """Write data `delay` seconds after reading it."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE)

    async def write() -> None:
        while (item := await under_way.get())[1]:
            await asyncio.sleep(max(0.0, item[0] - loop.time()))
            writer.write(item[1])
            await writer.drain()

    writing = asyncio.create_task(write())
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            await under_way.put((loop.time() + delay, data))
    await under_way.put((0.0, b""))
    with contextlib.suppress(ConnectionError):
        await writing
    writer.close()


async def _serve(delay: float, port: int, host: str, target: int) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, target)
        except OSError:
            writer.close()  # like a refusal by the target itself; the caller retries
            return
        await asyncio.gather(
            _pass_on(reader, far_writer, delay), _pass_on(far_reader, writer, delay)
        )

    server = await asyncio.start_server(connect, "0.0.0.0", port)
    async with server:
        await server.serve_forever()


async def _serve_all(delay: float, targets: list[tuple[int, str, int]]) -> None:
    await asyncio.gather(*(_serve(delay, *target) for target in targets))


def main() -> None:
    """Serve until killed."""
    delay, *words = sys.argv[1:]
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    targets = [(int(port), host, int(target)) for port, host, target in triples]
    asyncio.run(_serve_all(float(delay), targets))


if __name__ == "__main__":
    main()
