"""A person's own command at its worker: nobody is asked, it runs to its end, and nothing of it is left."""

from __future__ import annotations

import msgspec
import trio

from messages.client.item import CommandExecution, UnknownAction
from messages.tools import ToolCall
from tests.actors.tool_worker.tools.bench import CWD, SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World


def _users(bench: Bench, command: str, timeout_seconds: float | None = None) -> ToolCall:
    call = bench.call("user_shell", command, freeform=True)
    return msgspec.structs.replace(call, by="user", timeout_seconds=timeout_seconds)


def test_it_is_shown_as_typed_and_told_with_its_exit_code() -> None:
    async def program(run: ProgramRun) -> int:
        await run.write(b"hello\n")
        await trio.sleep(60)
        return 3

    async def test(bench: Bench) -> None:
        prepared, finished, _ = await bench.events(_users(bench, "greet"))
        assert prepared.item == CommandExecution(
            id="item_1",
            command="/bin/bash -lc greet",
            cwd=CWD,
            status="inProgress",
            command_actions=(UnknownAction(command="greet"),),
            source="userShell",
        )
        assert prepared.approval is None
        assert finished.output == "Exit code: 3\nDuration: 60.0000 seconds\nOutput:\nhello\n"
        assert isinstance(finished.item, CommandExecution)
        assert (finished.item.status, finished.item.exit_code, finished.terminal) == ("failed", 3, None)

    world = World(1)
    world.programs.add(SHELL, program)
    on_bench(world, test)


def test_at_its_time_limit_it_is_ended() -> None:
    async def program(_: ProgramRun) -> int:
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        _, finished, _ = await bench.events(_users(bench, "hang", 2.0))
        assert isinstance(finished.item, CommandExecution)
        assert (finished.item.status, finished.item.exit_code) == ("failed", 124)
        assert bench.ended == []

    world = World(1)
    world.programs.add(SHELL, program)
    on_bench(world, test)


def test_a_model_that_calls_it_by_name_is_refused() -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("user_shell", "rm -rf /", freeform=True)
        assert (finished.outcome, finished.output) == ("failed", "unsupported call: user_shell")

    on_bench(World(1), test)
