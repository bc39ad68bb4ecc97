"""Connected streams for tests."""

from __future__ import annotations

from actors.ports import Network
from actors.ports.network import ByteStream


async def connected(network: Network) -> tuple[ByteStream, ByteStream]:
    """Two ends of one connection."""
    listener = await network.listen("127.0.0.1", 0)
    host, _, port = listener.address.rpartition(":")
    near = await network.connect(host, int(port))
    far = await listener.accept()
    await listener.aclose()
    return near, far


async def receive_exactly(stream: ByteStream, count: int) -> bytes:
    """All of ``count`` bytes, or what came before the end."""
    got = b""
    while len(got) < count:
        piece = await stream.receive_some(count - len(got))
        if not piece:
            break
        got += piece
    return got
