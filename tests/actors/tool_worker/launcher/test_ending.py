"""When it says it stopped, it stopped: after `wait`, `stop` and `aclose` nothing of a call is left, whatever it did."""

from __future__ import annotations

import os
import signal

import pytest
import trio
import trio.testing

from actors.ports.processes import ExitStatus
from actors.tool_worker.launcher import Mechanism

from .stage import DAEMONS, crowded, every_mechanism, launched, read_all, read_words

SHORT_GRACE = 0.05
"""Seconds; for tools that are known to be deaf."""


@every_mechanism
async def test_what_a_tool_left_running_is_gone_when_wait_returns(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell(f"{DAEMONS}\nread go; exit 5", stdin="pipe")
        await read_words(process, "one", "two")
        await crowded(stage.mark)
        await process.write_stdin(b"go\n")
        assert await process.wait() == ExitStatus(code=5)
        assert stage.left() == {}
        assert await process.read_output() == b""
        await process.aclose()


@every_mechanism
async def test_stop_leaves_nothing_of_a_tool_that_is_deaf_and_has_daemons(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell(f"trap '' TERM\n{DAEMONS}\nwhile :; do sleep 1004; done")
        await read_words(process, "one", "two")
        assert await process.stop(SHORT_GRACE) == ExitStatus(code=137, signal=9)
        assert stage.left() == {}
        assert await process.stop() == ExitStatus(code=137, signal=9)
        await process.aclose()


@every_mechanism
async def test_termination_reaches_the_tool_first_and_lets_it_clean_up(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell(
            "exec 2>/dev/null; trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
        )
        await read_words(process, "ready")
        assert await process.stop(5) == ExitStatus(code=7)
        assert await read_all(process) == "cleaned\n"
        await process.aclose()


@every_mechanism
async def test_a_signal_goes_to_the_whole_group_and_not_to_the_wrapper(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        loop = "while :; do sleep 0.01; done"
        process = await stage.shell(
            "exec 2>/dev/null;"
            f" (trap 'echo child; exit' USR1; echo a; {loop}) & trap 'wait; echo parent; exit 3' USR1; echo b; {loop}"
        )
        await read_words(process, "a", "b")
        process.signal(signal.SIGUSR1)
        await read_words(process, "child", "parent")
        assert await process.wait() == ExitStatus(code=3)
        process.signal(signal.SIGUSR1)
        await process.aclose()


@every_mechanism
async def test_a_signal_sent_to_the_init_by_somebody_else_is_passed_on_to_the_tool(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
        await read_words(process, "ready")
        os.kill(process.pid, signal.SIGTERM)
        assert await process.wait() == ExitStatus(code=9)
        await process.aclose()


@every_mechanism
async def test_a_stopped_tool_can_be_ended(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell("kill -STOP $$")
        assert await process.stop(5) == ExitStatus(code=143, signal=15)
        await process.aclose()


async def test_a_tool_that_stops_its_wrapper_can_still_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.ports.production.processes.SWEEP_SECONDS", SHORT_GRACE)
    async with launched("subreaper") as stage:
        process = await stage.shell(f"{DAEMONS}\nread go; kill -STOP $PPID; echo stopped; sleep 1001", stdin="pipe")
        await process.write_stdin(b"go\n")
        await read_words(process, "one", "two", "stopped")
        assert await process.stop(SHORT_GRACE) == ExitStatus(code=137, signal=9)
        assert stage.left() == {}
        await process.aclose()


async def test_closing_ends_a_running_call_even_under_cancellation() -> None:
    async with launched() as stage:
        process = await stage.shell(f"{DAEMONS}\nsleep 1001")
        await read_words(process, "one", "two")
        with trio.CancelScope() as scope:
            scope.cancel()
            await process.aclose()
        assert stage.left() == {}
        await process.aclose()


@every_mechanism
async def test_a_cancelled_start_leaves_nothing_running(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        with trio.CancelScope() as scope:
            scope.cancel()
            await stage.spawn("sleep", "1001")
        assert scope.cancelled_caught
        assert (stage.left(), stage.processes.live) == ({}, 0)


async def test_many_may_wait_and_one_may_stop_waiting() -> None:
    async with launched() as stage:
        process = await stage.shell("read go; exit 4", stdin="pipe")
        ends: list[ExitStatus] = []

        async def wait() -> None:
            ends.append(await process.wait())

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as first:
                nursery.start_soon(wait)
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                first.cancel()
                await process.wait()
            await process.write_stdin(b"\n")
        assert ends == [ExitStatus(code=4)] * 2
        await process.aclose()


@every_mechanism
async def test_ending_the_launcher_ends_its_calls_before_its_task_ends(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        calls = [await stage.shell(DAEMONS + "sleep 1001") for _ in range(2)]
        for call in calls:
            await read_words(call, "one", "two")
        stage.nursery.cancel_scope.cancel()
    assert stage.left() == {}
    for call in calls:
        await call.aclose()
