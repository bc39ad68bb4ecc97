"""One write per round, nothing torn, nothing taken from the feeds while the socket is full."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.outlet import FLUSH_BYTES, Outlet
from actors.gateway.websocket import append_text_frame
from actors.ports.network import Flushable


class Rounds:
    """Remembers who wants to be flushed."""

    def __init__(self) -> None:
        self.dirty: list[Flushable] = []

    def flush_later(self, target: Flushable) -> None:
        if target not in self.dirty:
            self.dirty.append(target)

    def end(self) -> None:
        dirty, self.dirty = self.dirty, []
        for target in dirty:
            target.flush()


class Socket:
    """Takes ``room`` bytes, then blocks until there is more."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.closed = False
        self.gone = False
        self._writable = trio.Event()

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        if self.gone:
            raise trio.BrokenResourceError
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        if taken:
            self.writes.append(taken)
        return len(taken)

    async def wait_writable(self) -> None:
        if self.gone:
            raise trio.BrokenResourceError
        while self.room == 0:
            self._writable = trio.Event()
            await self._writable.wait()

    def make_room(self, size: int) -> None:
        self.room += size
        self._writable.set()

    def close_now(self) -> None:
        self.closed = True


def _lines(parts: list[bytes], frame: bytes) -> None:
    parts.append(frame + b"\n")


def _outlet(socket: Socket) -> tuple[Outlet, Rounds]:
    rounds = Rounds()
    return Outlet(socket, rounds, _lines), rounds  # type: ignore[arg-type]  # the parts of the ports it uses


def test_what_is_sent_in_a_round_leaves_in_one_write_answers_before_what_streams() -> None:
    socket = Socket()
    outlet, rounds = _outlet(socket)
    outlet.source = lambda room: [b"delta"]
    outlet.send(b"one")
    outlet.send_raw(b"pong\n")
    outlet.send(b"two")
    assert socket.writes == []
    assert outlet.pending == 13
    rounds.end()
    assert socket.writes == [b"one\npong\ntwo\ndelta\n"]
    assert outlet.pending == 0


async def test_a_full_socket_is_asked_nothing_until_it_has_taken_what_was_begun(
    nursery: trio.Nursery,
) -> None:
    socket = Socket(room=4)
    outlet, rounds = _outlet(socket)
    asked: list[int] = []

    def source(room: int) -> list[bytes]:
        asked.append(room)
        return [b"x" * 8] if len(asked) < 3 else []

    outlet.source = source
    await nursery.start(outlet.run)
    outlet.flush_soon()
    rounds.end()
    assert (socket.writes, asked) == ([b"xxxx"], [FLUSH_BYTES])
    outlet.send(b"answer")
    for _ in range(5):
        outlet.flush_soon()
        rounds.end()
    assert asked == [FLUSH_BYTES]
    socket.make_room(6)
    await trio.testing.wait_all_tasks_blocked()
    assert b"".join(socket.writes) == b"xxxxxxxx\na"
    assert len(asked) == 2
    socket.make_room(1000)
    await trio.testing.wait_all_tasks_blocked()
    assert b"".join(socket.writes) == b"xxxxxxxx\nanswer\nxxxxxxxx\n"


async def test_who_holds_back_goes_on_when_there_is_room(nursery: trio.Nursery) -> None:
    socket = Socket(room=0)
    outlet, rounds = _outlet(socket)
    await nursery.start(outlet.run)
    outlet.send(b"x" * 99)
    rounds.end()
    done: list[str] = []

    async def wait(limit: int) -> None:
        await outlet.wait_below(limit)
        done.append(str(limit))

    for limit in (0, 50, 100):
        nursery.start_soon(wait, limit)
    await trio.testing.wait_all_tasks_blocked()
    assert done == ["100"]
    socket.make_room(60)
    await trio.testing.wait_all_tasks_blocked()
    assert done == ["100", "50"]
    socket.gone = True
    socket.make_room(1)
    await trio.testing.wait_all_tasks_blocked()
    assert done == ["100", "50", "0"]
    assert outlet.broken
    assert socket.closed


def test_after_the_goodbye_nothing_is_sent() -> None:
    socket = Socket()
    outlet, rounds = _outlet(socket)
    outlet.source = lambda room: [b"delta"]
    outlet.send_raw(b"close\n")
    outlet.finish()
    outlet.send(b"late")
    outlet.flush_soon()
    rounds.end()
    assert socket.writes == [b"close\n"]


def test_a_peer_that_is_gone_raises_nowhere() -> None:
    socket = Socket()
    socket.gone = True
    outlet, rounds = _outlet(socket)
    outlet.send(b"x")
    rounds.end()
    assert outlet.broken
    outlet.send(b"y")
    outlet.flush()
    outlet.cut()
    assert outlet.pending == 0


def test_a_defect_in_the_source_ends_the_connection_rather_than_leave_a_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    socket = Socket()
    outlet, rounds = _outlet(socket)

    def source(_: int) -> list[bytes]:
        raise RuntimeError("a defect")

    outlet.source = source
    outlet.flush_soon()
    with caplog.at_level(logging.ERROR):
        rounds.end()
    assert socket.closed
    assert "a defect" in caplog.text


@given(st.integers(0, 70_000))
def test_frames_are_what_the_protocol_says(size: int) -> None:
    """RFC 6455 §5.2: final, text, unmasked, the shortest form of the length."""
    parts: list[bytes] = []
    append_text_frame(parts, b"x" * size)
    data = b"".join(parts)
    header = {0: b"\x81%c", 1: b"\x81\x7e", 2: b"\x81\x7f"}
    if size < 126:
        assert data[:2] == header[0] % size
        assert len(data) == 2 + size
    elif size < 65536:
        assert data[:4] == header[1] + size.to_bytes(2, "big")
        assert len(data) == 4 + size
    else:
        assert data[:10] == header[2] + size.to_bytes(8, "big")
        assert len(data) == 10 + size
