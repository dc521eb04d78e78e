"""A long line: passes octets on, each later by so many milliseconds. ``python -m scripts.benchmark.relay PORT TO MS``.

What is on its way is held, not slowed down: as much may be as both sides send.
"""

from __future__ import annotations

import asyncio
import sys

_READ_BYTES = 1 << 18


async def serve(port: int, to: int, seconds: float) -> None:
    """Listen on a port of this machine, and pass everything on to another, and back."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(
            _pass_on(reader, onward_writer, seconds),
            _pass_on(onward_reader, writer, seconds),
            return_exceptions=True,  # whoever went wrong has closed, and the other one sees it
        )

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """One direction, to its end."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    arriving = asyncio.create_task(_arrive(under_way, writer))
    clock = asyncio.get_running_loop().time
    try:
        while octets := await reader.read(_READ_BYTES):
            under_way.put_nowait((clock() + seconds, octets))
    except ConnectionError:
        pass  # an end, as well
    under_way.put_nowait((clock() + seconds, b""))
    await arriving


async def _arrive(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    try:
        while True:
            due, octets = await under_way.get()
            await asyncio.sleep(due - clock())
            if not octets:
                return
            writer.write(octets)
            await writer.drain()
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
