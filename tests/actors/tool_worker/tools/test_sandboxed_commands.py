"""A command in a sandboxed thread: what it is confined to, and how its refusal reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from actors.ports.processes import Confinement
from messages.client.item import CommandExecution
from messages.tools import RunDenied, RunTool
from tests.actors.tool_worker.tools.bench import CWD, SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World

NOTE = (
    "[Permission denied: probably denied by the workspace-write sandbox: files can be changed only in /repo, but not "
    ".git and the folders of agents there; there is no network]\n"
)


def test_a_denied_command_reads_as_denied_to_the_model_and_on_the_screen() -> None:
    seen: list[Confinement | None] = []

    async def program(run: ProgramRun) -> int:
        seen.append(run.request.confinement)
        await run.write(b"touch: /etc/x: Permission denied")
        return 1

    async def test(bench: Bench) -> None:
        bench.workshop.settings = msgspec.structs.replace(
            bench.workshop.settings, sandbox_mode="workspace-write", exclude_slash_tmp=True
        )
        _, finished = await bench.run("exec_command", {"cmd": "touch /etc/x", "login": False})
        said = f"touch: /etc/x: Permission denied\n{NOTE}[that stands]\n"
        assert isinstance(finished.output, str)
        assert finished.output.endswith(said)
        assert isinstance(finished.item, CommandExecution)
        assert finished.item.aggregated_output == said
        assert bench.outputs["call_1"].text() == said
        assert seen == [Confinement(mode="workspace-write", workspace=(CWD,))]

    world = World(1)
    world.programs.add(SHELL, program)
    on_bench(world, test)


def test_without_a_sandbox_a_command_is_not_confined_and_its_failure_is_its_own() -> None:
    async def program(run: ProgramRun) -> int:
        assert run.request.confinement is None
        await run.write(b"Permission denied\n")
        return 1

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "x", "login": False})
        assert isinstance(finished.output, str)
        assert finished.output.endswith("Output:\nPermission denied\n")

    world = World(1)
    world.programs.add(SHELL, program)
    on_bench(world, test)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("exec_command", {"cmd": "touch /etc/x", "login": False}), ("shell", {"command": ["touch", "/etc/x"]})],
)
def test_on_a_yes_it_is_run_again_without_the_sandbox_as_the_same_call(tool: str, arguments: dict[str, Any]) -> None:
    seen: list[Confinement | None] = []

    async def program(run: ProgramRun) -> int:
        seen.append(run.request.confinement)
        await run.write(b"denied: Permission denied\n" if run.request.confinement else b"made\n")
        return 1 if run.request.confinement else 0

    async def test(bench: Bench) -> None:
        bench.workshop.settings = msgspec.structs.replace(bench.workshop.settings, sandbox_mode="read-only")
        call = bench.call(tool, arguments)
        bench.when_denied = RunTool(call_id=call.call_id, unconfined=True)
        _, finished, events = await bench.events(call)
        (denied,) = [event for event in events if isinstance(event, RunDenied)]
        assert denied.words == "Permission denied"
        assert isinstance(denied.item, CommandExecution)
        assert (denied.item.exit_code, denied.item.status) == (1, "failed")
        again = "[the sandbox denied it something (Permission denied); this is its second run, without the sandbox]\n"
        assert isinstance(finished.output, str)
        assert finished.output.endswith(f"Output:\n{again}made\n")
        assert isinstance(finished.item, CommandExecution)
        assert (finished.item.aggregated_output, finished.item.exit_code) == (f"{again}made\n", 0)
        assert [each is None for each in seen] == [False, True]

    world = World(1)
    world.programs.add(SHELL, program)
    world.programs.add("touch", program)
    on_bench(world, test)


def test_a_command_that_goes_on_in_the_background_is_told_as_denied_and_not_asked_about() -> None:
    async def program(run: ProgramRun) -> int:
        await trio.sleep(60)
        await run.write(b"Permission denied\n")
        return 1

    async def test(bench: Bench) -> None:
        bench.workshop.settings = msgspec.structs.replace(bench.workshop.settings, sandbox_mode="read-only")
        _, started = await bench.run("exec_command", {"cmd": "x", "login": False, "yield_time_ms": 250})
        assert started.terminal is not None
        _, looked, events = await bench.events(
            bench.call("write_stdin", {"session_id": started.terminal, "yield_time_ms": 300_000})
        )
        assert not [event for event in events if isinstance(event, RunDenied)]
        assert "probably denied by the read-only sandbox" in str(looked.output)

    world = World(1)
    world.programs.add(SHELL, program)
    on_bench(world, test)
