"""The real engine: who dies of what, and that nothing is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from actors.ports.production import scripts as production
from actors.ports.production.scripts import ZygoteEngine
from actors.ports.scripts import EngineUnavailableError, WorkerLostError
from actors.sandbox_pool.inside.protocol import REQUIRED
from tests.actors.sandbox_pool.stage import echo, forever, limited, play
from tests.actors.sandbox_pool.test_attacks import childless, zygote


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_worker_is_confined_before_it_reads_anything() -> None:
    async with zygote() as engine:
        worker = await engine.worker()
        assert engine.confinement is not None
        assert engine.confinement.missing == ()
        assert set(REQUIRED) <= engine.confinement.layers.keys()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert os.listdir(f"/proc/{worker.pid}/fd") == ["0"]
        if os.geteuid() == 0:
            assert status["Uid"].split() == ["65534"] * 4
            assert int(status["CapEff"], 16) == 0
        await worker.aclose()


async def test_the_daemons_environment_and_descriptors_are_not_in_the_zygote() -> None:
    os.environ["CALLBOARD_TEST_SECRET"] = "do-not-tell"
    inherited = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        async with zygote() as engine:
            environment = Path(f"/proc/{engine.pid}/environ").read_bytes()
            assert b"SECRET" not in environment
            targets = [os.readlink(f"/proc/{engine.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{engine.pid}/fd")]
            assert not [target for target in targets if "hostname" in target]
    finally:
        del os.environ["CALLBOARD_TEST_SECRET"]
        os.close(inherited)


async def test_a_worker_that_dies_says_how_and_its_sibling_lives() -> None:
    async with zygote() as engine:
        one, other = await engine.worker(), await engine.worker()
        os.kill(one.pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="SIGKILL") as caught:
            await one.receive(100)
        assert caught.value.signal == signal.SIGKILL
        assert alive(other.pid)
        await one.aclose()
        await other.aclose()
        await other.aclose()
        with trio.fail_after(5):
            await childless(engine.pid)


async def test_a_zygote_that_dies_takes_its_workers_along_and_is_replaced() -> None:
    async with zygote() as engine:
        before, worker = engine.pid, await engine.worker()
        assert before is not None
        os.kill(before, signal.SIGKILL)
        with trio.fail_after(5):
            with pytest.raises(WorkerLostError):
                await worker.receive(100)
            await worker.aclose()
            assert not alive(worker.pid)
            show = await play("return await tools.echo(1)", engine=engine, plays={"echo": echo}, limits=limited())
        assert show.value == 1
        assert engine.pid not in (None, before)


async def test_a_script_whose_zygote_dies_crashes_alone_and_says_so() -> None:
    async with zygote() as engine:

        async def murder(arguments: object, gate: object) -> object:
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            return await trio.sleep_forever()

        with trio.fail_after(10):
            show = await play("await tools.murder({})", engine=engine, plays={"murder": murder})
            after = await play("return 1", engine=engine, plays={"echo": echo})
    assert show.outcome.status == "crashed"
    assert [call.outcome for call in show.outcome.calls] == ["cancelled"]
    assert after.value == 1


async def test_a_zygote_is_replaced_when_it_has_forked_often_enough_and_lives_as_long_as_its_workers() -> None:
    engine = ZygoteEngine(forks_per_zygote=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        first, workers = engine.pid, [await engine.worker() for _ in range(3)]
        second = engine.pid
        assert first is not None
        assert first != second
        assert alive(first)
        assert all(alive(worker.pid) for worker in workers)
        for worker in workers:
            await worker.aclose()
        with trio.fail_after(5):
            while alive(first):  # noqa: ASYNC110  # another process ends when it has noticed
                await trio.sleep(0.005)
        nursery.cancel_scope.cancel()


async def test_ending_the_engine_ends_every_process_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with zygote() as engine:
        workers = [await engine.worker(), await engine.worker()]
        pids = [engine.pid, *(worker.pid for worker in workers)]
    for worker in workers:
        await worker.aclose()
    assert not [pid for pid in pids if pid is not None and alive(pid)]
    monkeypatch.setattr(production, "START_SECONDS", 0.05)  # nobody will start another
    with trio.fail_after(15), pytest.raises(EngineUnavailableError):
        await engine.worker()


async def test_a_script_that_is_cancelled_from_outside_leaves_no_process() -> None:
    async with zygote() as engine:
        started = trio.Event()

        async def waits(arguments: object, gate: object) -> object:
            started.set()
            return await trio.sleep_forever()

        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await play("await tools.waits({}); for (;;);", engine=engine, plays={"waits": waits})

            nursery.start_soon(run)
            with trio.fail_after(10):
                await started.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await childless(engine.pid)


async def test_a_worker_that_is_stopped_is_killed_at_the_end_of_its_time() -> None:
    async with zygote() as engine:

        async def stop(arguments: object, gate: object) -> object:
            assert engine.pid is not None
            for pid in Path(f"/proc/{engine.pid}/task/{engine.pid}/children").read_text().split():
                os.kill(int(pid), signal.SIGSTOP)
            return None

        with trio.fail_after(10):
            show = await play(
                "await tools.stop({}); await tools.forever({})",
                engine=engine,
                plays={"stop": stop, "forever": forever},
                limits=limited(wall_seconds=0.4),
            )
            await childless(engine.pid)
    assert show.failure == ("limit", "time", 0)


async def test_a_worker_that_has_been_taken_over_and_says_too_much_is_killed() -> None:
    async with zygote() as engine:
        worker = await engine.worker()
        await worker.send(b"\0" * 20 + b"x" * 100)
        with trio.fail_after(5), pytest.raises(WorkerLostError, match="2 are allowed"):
            await worker.receive(2)
        await worker.aclose()
        assert not alive(worker.pid)
