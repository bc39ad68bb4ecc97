"""A command in a sandboxed thread: what it is confined to, and how its refusal reads."""

from __future__ import annotations

import msgspec

from actors.ports.processes import Confinement
from messages.client.item import CommandExecution
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
        said = f"touch: /etc/x: Permission denied\n{NOTE}"
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
