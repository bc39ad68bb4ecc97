"""The simulated machine keeps its promises: reproducible, crashed at any point, and nothing happens after the crash."""

from __future__ import annotations

import errno
import signal

import pytest
import trio

from actors.model_stream.http import BODY_EXTENSION, open_client
from actors.ports import Ports
from actors.ports.processes import SpawnError, SpawnRequest
from tests.simulation import Chances, ProgramRun, Trace, World
from tests.simulation.stepping import run_deterministically

LOG = "/home/log"


def append(ports: Ports, text: bytes) -> None:
    file = ports.files.open_append(LOG)
    file.write(text)
    file.close()


async def busy_daemon(ports: Ports) -> str:
    """Something of everything: tasks, threads, files, processes, a server, randomness, time."""
    await ports.threads.run(ports.files.make_dirs, "/home")
    listener = await ports.network.listen("127.0.0.1", 4600)
    client = await ports.network.connect("127.0.0.1", 4600)
    server = await listener.accept()

    async def worker(number: int) -> None:
        await trio.sleep(ports.entropy.random.random())
        process = await ports.processes.spawn(SpawnRequest(argv=("tool", str(number)), cwd="/", environment={}))
        output = await process.read_output()
        await process.wait()
        await ports.threads.run(append, ports, b"%d %b %b\n" % (number, output, ports.entropy.uuid7().encode()))
        await client.send_all(b"%d" % number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(worker, number)
    await client.aclose()
    seen = b""
    while data := await server.receive_some():
        seen += data
    return seen.decode()


def world_with_tool(seed: int) -> World:
    world = World(seed)
    world.programs.add_output("tool", b"done", seconds=0.5)
    return world


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    traces = [world_with_tool(seed).run(busy_daemon) for seed in (1, 1, 2)]
    assert traces[0] == traces[1]
    assert traces[0].result == traces[1].result
    assert traces[0].outcome == "finished"
    assert traces[0].events != traces[2].events
    assert sorted(str(traces[2].result)) == ["0", "1", "2", "3"]


async def streaming_daemon(ports: Ports) -> bytes:
    """A model's server and a request to it, read in the rounds."""
    listener = await ports.network.listen("127.0.0.1", 80)
    got = bytearray()

    async def serve() -> None:
        stream = await listener.accept()
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(20):
            await trio.sleep(0.01)
            await stream.send_all(b"8\r\ndata: %02d\r\n" % number)
        await stream.send_all(b"0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        await nursery.start(ports.network.rounds.run)
        nursery.start_soon(serve)
        over = trio.Event()
        async with open_client(ports) as client, client.stream("POST", "http://127.0.0.1/", content=b"{}") as response:
            response.extensions[BODY_EXTENSION].deliver(got.extend, lambda _: over.set())
            await over.wait()
        nursery.cancel_scope.cancel()
    return bytes(got)


def test_a_stream_read_in_rounds_is_reproducible_too() -> None:
    traces = [World(seed).run(streaming_daemon) for seed in (4, 4, 5)]
    assert traces[0] == traces[1]
    assert traces[0].events != traces[2].events
    assert {trace.result for trace in traces} == {b"".join(b"data: %02d" % number for number in range(20))}


def test_a_crash_at_any_step_or_effect_leaves_a_prefix_of_the_same_run() -> None:
    whole = world_with_tool(3).run(busy_daemon)
    points = [{"crash_at_step": k} for k in range(1, whole.steps + 1)]
    points += [{"crash_at_effect": k} for k in range(1, whole.effects + 1)]
    for point in points:
        world = world_with_tool(3)
        trace = world.run(busy_daemon, **point)
        assert trace.outcome == "crashed", point
        before = [event for event in trace.events if event.kind not in ("crash", "exit")]
        expected = [event for event in whole.events if event.kind != "exit"]
        assert before == expected[: len(before)], point
        assert world.programs.running() == ()
        assert world.fabric.listeners == {}


def test_after_a_crash_no_finally_block_changes_the_world_and_no_shield_holds() -> None:
    world = World(5)
    world.disk.put(LOG, b"")
    reached: list[str] = []

    async def daemon(ports: Ports) -> None:
        stream = await ports.network.connect("127.0.0.1", 9)
        try:
            append(ports, b"before")
            await trio.sleep_forever()
        finally:
            reached.append("finally")
            try:
                with trio.CancelScope(shield=True):
                    await trio.sleep(10)
                    reached.append("behind the shield")
            finally:
                try:
                    append(ports, b"after")
                finally:
                    stream.close_now()

    async def scenario() -> tuple[Trace, bytes]:
        listener = await world.outside.network.listen("127.0.0.1", 9)
        async with world.powered(), trio.open_nursery() as nursery:

            async def crash_later() -> None:
                await trio.sleep(1)
                world.crash()

            nursery.start_soon(crash_later)
            trace = await world.live(daemon)
            peer = await listener.accept()
            return trace, await peer.receive_some()

    trace, last = run_deterministically(scenario, "5")
    assert trace.outcome == "crashed"
    assert reached == ["finally"]
    assert world.disk.get(LOG) == b"before"
    assert last == b""


def test_what_was_in_flight_to_a_client_can_be_read_after_the_crash() -> None:
    world = World(6, chances=Chances.none())
    kept = []

    async def daemon(ports: Ports) -> None:
        listener = await ports.network.listen("127.0.0.1", 1)
        kept.append(await world.outside.network.connect("127.0.0.1", 1))
        stream = await listener.accept()
        await stream.send_all(b"shown")
        await trio.sleep_forever()

    whole = world.run(lambda ports: _crash_after(world, daemon, ports, 1.0))
    assert whole.outcome == "crashed"
    assert kept[0].try_receive(100) == b"shown"
    assert kept[0].try_receive(100) == b""


async def _crash_after(world: World, main: object, ports: Ports, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(main, ports)  # type: ignore[arg-type]  # any main
        await trio.sleep(seconds)
        world.crash()


def test_power_loss_leaves_what_was_synced_and_not_touched_since() -> None:
    """A torn tail is cut off and written over: the lines before it are safe, whatever becomes of that."""
    found = set()
    for seed in range(40):
        world = World(seed)

        async def daemon(ports: Ports) -> None:
            ports.files.make_dirs("/home")
            file = ports.files.open_append(LOG)
            file.write(b"safe\ntorn")
            file.datasync()
            file.truncate(5)
            file.write(b"new\n")

        world.run(daemon)
        world.power_loss()
        found.add(world.disk.get(LOG))
    assert all(data.startswith(b"safe\n") for data in found)
    assert {b"safe\ntorn", b"safe\nnew\n", b"safe\n"} <= found


def test_power_loss_takes_what_was_not_synced_and_may_leave_a_torn_tail() -> None:
    survivors = set()
    for seed in range(60):
        world = World(seed)
        world.disk.make_dirs("/home")

        async def daemon(ports: Ports) -> None:
            file = ports.files.open_append(LOG)
            file.write(b"synced\n")
            file.datasync()
            file.write(b"not\n")
            ports.files.open_append("/home/unnamed").write(b"x")
            ports.files.write_atomic("/home/settings", b"whole")

        world.run(daemon)
        world.power_loss()
        survivors.add(world.disk.get(LOG))
        assert world.disk.get("/home/settings") == b"whole"
    assert survivors == {b"synced\n" + b"not\n"[:n] for n in range(5)}


def test_a_kill_keeps_the_page_cache_but_may_tear_the_write_it_hits() -> None:
    left = set()
    for seed in range(60):
        world = World(seed)
        world.disk.put(LOG, b"")

        async def daemon(ports: Ports) -> None:
            append(ports, b"one\n")
            append(ports, b"two\n")

        world.run(daemon, crash_at_effect=2)
        left.add(world.disk.get(LOG))
    assert left == {b"one\n" + b"two\n"[:n] for n in range(5)}


def test_a_full_disk_takes_a_part_and_then_fails() -> None:
    world = World(1)
    world.disk.put(LOG, b"12345")
    world.disk.capacity = 8

    async def daemon(ports: Ports) -> None:
        with pytest.raises(OSError, match="No space left") as raised:
            append(ports, b"abcdef")
        assert raised.value.errno == errno.ENOSPC
        with pytest.raises(OSError, match="No space left"):
            ports.files.write_atomic("/home/other", b"x")

    world.run(daemon)
    assert world.disk.get(LOG) == b"12345abc"


def test_a_lock_is_exclusive_until_closed_and_dies_with_its_holder() -> None:
    world = World(1)
    world.disk.make_dirs("/home")

    async def daemon(ports: Ports) -> bool:
        held = ports.files.lock("/home/lock")
        assert held is not None
        assert ports.files.lock("/home/lock") is None
        held.close()
        return ports.files.lock("/home/lock") is not None

    assert world.run(daemon).result is True
    assert world.run(daemon).result is True


def test_programs_are_recorded_terminated_and_die_with_the_daemon() -> None:
    world = World(1)

    async def stubborn(run: ProgramRun) -> int:
        run.traps = True
        await run.terminated.wait()
        await run.write(b"bye")
        return 7

    world.programs.add("stubborn", stubborn)
    world.programs.add_output("slow", b"", seconds=100)

    async def daemon(ports: Ports) -> tuple[int, bytes, int | None]:
        request = SpawnRequest(argv=("stubborn",), cwd="/", environment={})
        process = await ports.processes.spawn(request)
        await trio.sleep(1)
        status = await process.stop()
        slow = await ports.processes.spawn(SpawnRequest(argv=("slow",), cwd="/", environment={}))
        slow.signal(signal.SIGINT)
        interrupted = await slow.wait()
        with pytest.raises(SpawnError, match="no such program"):
            await ports.processes.spawn(SpawnRequest(argv=("missing",), cwd="/", environment={}))
        await ports.processes.spawn(SpawnRequest(argv=("slow",), cwd="/", environment={}))
        return status.code, await process.read_output(), interrupted.signal

    assert world.run(daemon).result == (7, b"bye", signal.SIGINT)
    assert [execution.outcome for execution in world.programs.history] == ["exited", "killed", "killed"]
    assert world.programs.running() == ()


def test_a_tester_can_forbid_writing_fail_any_verb_and_reset_connections() -> None:
    world = World(1)
    world.disk.put(LOG, b"")
    world.disk.unwritable |= {"/home", LOG}

    def fail_syncs(verb: str, path: str) -> None:
        if verb == "datasync":
            raise OSError(errno.EIO, "Input/output error", path)

    world.disk.before = fail_syncs

    async def daemon(ports: Ports) -> None:
        with pytest.raises(PermissionError):
            ports.files.write_atomic("/home/new", b"x")
        with pytest.raises(PermissionError):
            append(ports, b"x")
        with pytest.raises(OSError, match="Input/output error"):
            ports.files.open_append("/tmp/file").datasync()
        listener = await ports.network.listen("127.0.0.1", 1)
        near = await ports.network.connect("127.0.0.1", 1)
        far = await listener.accept()
        await near.send_all(b"x")
        world.fabric.streams[0].reset()
        assert await far.receive_some() == b"x"
        for stream in (near, far):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            with pytest.raises(trio.BrokenResourceError):
                stream.try_send(b"x")
        world.fabric.unreachable.add("127.0.0.1:1")
        with trio.move_on_after(30) as scope:
            await ports.network.connect("127.0.0.1", 1)
        assert scope.cancelled_caught

    assert world.run(daemon).outcome == "finished"


async def test_clients_outside_outlive_a_crash_and_meet_the_next_life(autojump_clock: trio.testing.MockClock) -> None:
    world = World(8)
    seen: list[bytes] = []

    async def daemon(ports: Ports) -> None:
        listener = await ports.network.listen("127.0.0.1", 1)
        while True:
            await (await listener.accept()).send_all(f"life {ports.clock.monotonic():.0f}".encode())

    async def client() -> None:
        while len(seen) < 2:
            try:
                stream = await world.outside.network.connect("127.0.0.1", 1)
            except OSError:
                await trio.sleep(1)
                continue
            text = b""
            while data := await stream.receive_some():
                text += data
            seen.append(text)

    async with world.powered(), trio.open_nursery() as nursery:
        nursery.start_soon(client)
        for _ in range(2):
            async with trio.open_nursery() as life:
                life.start_soon(world.live, daemon)
                await trio.sleep(10)
                world.crash()
    assert len(seen) == 2
    assert all(text.startswith(b"life") for text in seen)
