"""Claim: what a client is told in one wake leaves in one write, at a fraction of a library's send per message.

The baseline is trio-websocket's own `send_message`: a lock, a frame by wsproto and a write each. Ours is the outlet of
the gateway: frames are queued, and one write at the end of the round takes them all. The peer is a socket pair that is
emptied now and then, in both alike.
"""

from __future__ import annotations

import contextlib
import socket
from time import thread_time

import trio
import trio_websocket

from actors.gateway.websocket import accept
from actors.ports.production import SocketNetwork
from actors.ports.production.sockets import SocketStream
from bench.harness import Case, Suite

FRAME = (
    b'{"method":"item/agentMessage/delta","params":{"threadId":"0193a000-0000-7000-8000-000000000001",'
    b'"turnId":"0193a000-0000-7000-8000-000000000002","itemId":"msg_0a1b2c3d4e5f60718293","delta":" quick"},'
    b'"emittedAtMs":1763700000000,"callboard":{"offset":123}}'
)

DRAIN_BYTES = 64 * 1024
"""The pair is emptied when about so much is in it: less than a socket buffer, so nothing ever blocks."""

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        _suite("websocket_burst", "eight messages in one wake", 8),
        _suite("websocket_single", "one message per wake", 1),
    )


def _suite(name: str, claim: str, burst: int) -> Suite:
    return Suite(
        name=name,
        claim=claim,
        unit="message",
        cases=(
            Case(name="trio-websocket send_message", run=lambda units: trio.run(_library, units, burst)),
            Case(name="outlet", run=lambda units: trio.run(_outlet, units, burst)),
        ),
    )


async def _library(units: int, burst: int) -> float:
    near, far = _pair()
    text = FRAME.decode()
    async with trio.open_nursery() as nursery:
        far.sendall(REQUEST)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(near))
        request = await trio_websocket.wrap_server_stream(nursery, stream)
        connection = await request.accept()
        _drain(far)
        began, held = thread_time(), 0
        for first in range(0, units, burst):
            for _ in range(min(burst, units - first)):
                await connection.send_message(text)
                held += len(FRAME)
            if held > DRAIN_BYTES:
                _drain(far)
                held = 0
        seconds = thread_time() - began
        nursery.cancel_scope.cancel()
    far.close()
    return seconds


async def _outlet(units: int, burst: int) -> float:
    near, far = _pair()
    network = SocketNetwork()
    async with trio.open_nursery() as nursery:
        await nursery.start(network.rounds.run)
        transport = await accept(
            nursery, SocketStream(near), network.rounds, REQUEST, max_message_bytes=1 << 20, peer="bench"
        )
        outlet = transport.outlet
        await outlet.wait_below(0)
        _drain(far)
        began, held = thread_time(), 0
        for first in range(0, units, burst):
            for _ in range(min(burst, units - first)):
                outlet.send(FRAME)
                held += len(FRAME)
            while outlet.pending:
                await trio.lowlevel.checkpoint()
            if held > DRAIN_BYTES:
                _drain(far)
                held = 0
        seconds = thread_time() - began
        nursery.cancel_scope.cancel()
    far.close()
    return seconds


def _pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    for each in (near, far):
        each.setblocking(False)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return near, far


def _drain(far: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while far.recv(1 << 20):
            pass
