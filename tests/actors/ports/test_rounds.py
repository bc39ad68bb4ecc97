"""The rounds, in every kind: real with an epoll, real with a task per socket, simulated."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.ports import Network
from actors.ports.network import ROUND_BYTES, ByteStream, Watch
from actors.ports.production import SocketNetwork
from actors.ports.production.round_pass import RoundBase
from actors.ports.production.rounds import TaskPerSocketRounds, best_rounds
from tests.actors.ports.conftest import Failures
from tests.actors.ports.pairs import connected, receive_exactly


class Reader:
    """Watches a stream and keeps what it read."""

    def __init__(self, network: Network, stream: ByteStream) -> None:
        self.stream = stream
        self.got = b""
        self.ended = False
        self.calls = 0
        self._changed = trio.Event()
        self.watch: Watch = network.rounds.watch(stream, self.read)

    def read(self) -> None:
        self.calls += 1
        data = self.stream.try_receive(ROUND_BYTES)
        if data == b"":
            self.ended = True
            self.watch.close()
        elif data:
            self.got += data
        self._changed.set()

    async def wait_for(self, text: bytes) -> None:
        with trio.fail_after(5):
            while self.got != text:
                await self._changed.wait()
                self._changed = trio.Event()

    async def wait_for_end(self) -> None:
        with trio.fail_after(5):
            while not self.ended:
                await self._changed.wait()
                self._changed = trio.Event()


async def settle() -> None:
    """Let the kernel and the rounds do what they have to do; a real socket needs a moment to become readable."""
    for _ in range(3):
        await wait_all_tasks_blocked(0.01)


async def test_a_watched_stream_is_read_as_data_comes_and_ends(network: Network) -> None:
    near, far = await connected(network)
    reader = Reader(network, far)
    await near.send_all(b"one ")
    await reader.wait_for(b"one ")
    await near.send_all(b"two")
    await reader.wait_for(b"one two")
    await near.aclose()
    await reader.wait_for_end()
    far.close_now()


async def test_a_paused_stream_is_not_read_and_loses_nothing(network: Network) -> None:
    near, far = await connected(network)
    reader = Reader(network, far)
    reader.watch.pause()
    await near.send_all(b"later")
    await settle()
    assert reader.calls == 0
    reader.watch.resume()
    await reader.wait_for(b"later")
    near.close_now()
    far.close_now()


async def test_pausing_and_resuming_in_one_go_changes_nothing(network: Network) -> None:
    near, far = await connected(network)
    reader = Reader(network, far)
    for _ in range(3):
        reader.watch.pause()
        reader.watch.resume()
    await near.send_all(b"x")
    await reader.wait_for(b"x")
    near.close_now()
    far.close_now()


async def test_a_closed_watch_is_called_no_more_and_the_stream_lives_on(network: Network) -> None:
    near, far = await connected(network)
    reader = Reader(network, far)
    reader.watch.close()
    reader.watch.close()
    reader.watch.resume()
    await near.send_all(b"direct")
    await settle()
    assert reader.calls == 0
    assert await receive_exactly(far, 6) == b"direct"
    again = Reader(network, far)
    await near.send_all(b"!")
    await again.wait_for(b"!")
    near.close_now()
    far.close_now()


async def test_closing_a_stream_takes_it_out_of_the_rounds(network: Network) -> None:
    assert isinstance(network.rounds, RoundBase)
    near, far = await connected(network)
    reader = Reader(network, far)
    far.close_now()
    far.close_now()
    assert network.rounds.statistics().watched == 0
    near.close_now()
    await settle()
    assert reader.calls == 0
    # The descriptor's number is given to the next connection, and nothing is left of the old one.
    near, far = await connected(network)
    second = Reader(network, far)
    await near.send_all(b"new")
    await second.wait_for(b"new")
    assert reader.calls == 0
    near.close_now()
    far.close_now()


async def test_a_stream_has_one_watch_at_a_time(network: Network) -> None:
    near, far = await connected(network)
    Reader(network, far)
    with pytest.raises(trio.BusyResourceError):
        Reader(network, far)
    near.close_now()
    far.close_now()
    with pytest.raises(trio.ClosedResourceError):
        Reader(network, far)
    with pytest.raises(TypeError, match="made by the network port"):
        network.rounds.watch(object(), print)  # type: ignore[arg-type]  # the mistake under test


async def test_a_callback_that_raises_harms_only_itself(network: Network, failures: Failures) -> None:
    assert isinstance(network.rounds, RoundBase)
    near, far = await connected(network)
    near2, far2 = await connected(network)
    error = ValueError("a defect")

    def fail() -> None:
        raise error

    network.rounds.watch(far, fail)
    reader = Reader(network, far2)
    await near.send_all(b"boom")
    await near2.send_all(b"fine")
    await reader.wait_for(b"fine")
    await settle()
    assert failures == [(far, error)]
    assert network.rounds.statistics().watched == 1
    assert network.rounds.statistics().failures == 1
    for stream in (near, far, near2, far2):
        stream.close_now()


class Target:
    """A connection that writes once per round."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.notes: list[str] = []
        self.flushes: list[list[str]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.network.rounds.flush_later(self)

    def flush(self) -> None:
        self.flushes.append(self.notes)
        self.notes = []


async def test_what_was_noted_in_a_round_is_flushed_once_at_its_end(network: Network) -> None:
    near, far = await connected(network)
    target = Target(network)

    def read() -> None:
        far.try_receive(ROUND_BYTES)
        target.note("a")
        target.note("b")
        assert target.flushes == []
        watch.close()

    watch = network.rounds.watch(far, read)
    await near.send_all(b"x")
    await settle()
    assert target.flushes == [["a", "b"]]
    near.close_now()
    far.close_now()


async def test_what_is_noted_outside_a_round_is_flushed_once_after_the_tasks_now_runnable(network: Network) -> None:
    target = Target(network)

    async def speak(text: str) -> None:
        target.note(text)

    async with trio.open_nursery() as nursery:
        for text in "abcde":
            nursery.start_soon(speak, text)
    await settle()
    assert len(target.flushes) == 1
    assert sorted(target.flushes[0]) == list("abcde")
    target.note("again")
    await settle()
    assert target.flushes[1:] == [["again"]]


async def test_a_flush_that_raises_or_asks_for_more_does_not_stop_the_others(
    network: Network, failures: Failures
) -> None:
    target = Target(network)
    error = ValueError("a defect")

    class Broken:
        def flush(self) -> None:
            target.note("from a flush")
            raise error

    broken = Broken()
    network.rounds.flush_later(broken)
    target.note("a")
    await settle()
    assert target.flushes == [["a", "from a flush"]]
    assert failures == [(broken, error)]


async def test_restarted_rounds_serve_the_streams_that_were_watched_before() -> None:
    for rounds in (best_rounds(), TaskPerSocketRounds()):
        network = SocketNetwork(rounds)
        near, far = await connected(network)
        reader = Reader(network, far)
        target = Target(network)
        target.note("before")
        for text in (b"first", b"second"):
            async with trio.open_nursery() as nursery:
                await nursery.start(rounds.run)
                reader.got = b""
                await near.send_all(text)
                await reader.wait_for(text)
                nursery.cancel_scope.cancel()
        assert target.flushes == [["before"]]
        near.close_now()
        far.close_now()


async def test_a_flood_on_one_stream_does_not_starve_another_stream_or_a_task(network: Network) -> None:
    loud, loud_end = await connected(network)
    quiet, quiet_end = await connected(network)
    Reader(network, loud_end)
    reader = Reader(network, quiet_end)

    async def flood() -> None:
        while True:
            await loud.send_all(bytes(65536))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        await quiet.send_all(b"heard")
        await reader.wait_for(b"heard")
        nursery.cancel_scope.cancel()
    for stream in (loud, loud_end, quiet, quiet_end):
        stream.close_now()
