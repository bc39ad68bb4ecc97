"""shell: one program, its words as they are, to its end."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from messages.approval import CommandNeed
from messages.client.item import CommandExecution, FileChange, UnknownAction
from tests.actors.tool_worker.tools.bench import CWD, Bench, on_bench
from tests.simulation import ProgramRun, World


async def _greets(run: ProgramRun) -> int:
    await run.write(f"{run.argv[1:]} in {run.cwd}\n".encode())
    await trio.sleep(1.25)
    return 3


async def _hangs(run: ProgramRun) -> int:
    await run.write(b"so far\n")
    await trio.sleep_forever()


async def _prints_much(run: ProgramRun) -> int:
    await run.write(b"word\n" * 20_000)
    return 0


def in_a_world(*programs: tuple[str, Any]) -> World:
    world = World(1)
    for name, program in programs:
        world.programs.add(name, program)
    return world


def test_a_programs_words_reach_it_as_they_are_and_its_end_is_told() -> None:
    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run("shell", {"command": ["/bin/greet", "a b", "$X"], "workdir": "src"})
        assert prepared.item == CommandExecution(
            id="item_1",
            command="/bin/greet 'a b' '$X'",
            cwd=f"{CWD}/src",
            status="inProgress",
            command_actions=(UnknownAction(command="/bin/greet 'a b' '$X'"),),
            source="agent",
        )
        assert isinstance(prepared.approval, CommandNeed)
        assert (prepared.approval.argv, prepared.approval.escalated) == (("/bin/greet", "a b", "$X"), False)
        assert finished.output == ("Exit code: 3\nWall time: 1.2 seconds\nOutput:\n('a b', '$X') in /repo/src\n")
        assert isinstance(finished.item, CommandExecution)
        assert (finished.item.exit_code, finished.terminal, finished.outcome) == (3, None, "done")

    world = in_a_world(("/bin/greet", _greets))
    world.outside.files.make_dirs(f"{CWD}/src")
    on_bench(world, test)


def test_at_its_time_limit_it_is_ended_and_says_so() -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("shell", {"command": ["/bin/hang"], "timeout_ms": 2000})
        assert finished.output == (
            "Exit code: 124\nWall time: 2.0 seconds\nOutput:\ncommand timed out after 2000 milliseconds\nso far\n"
        )
        assert finished.outcome == "failed"
        assert isinstance(finished.item, CommandExecution)
        assert (finished.item.status, finished.item.exit_code) == ("failed", 124)
        began = bench.workshop.ports.clock.monotonic()
        await bench.run("shell", {"command": ["/bin/hang"]})
        assert bench.workshop.ports.clock.monotonic() - began == pytest.approx(10.0)
        assert bench.ended == []

    on_bench(in_a_world(("/bin/hang", _hangs)), test)


def test_a_long_output_is_cut_and_its_lines_are_counted() -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("shell", {"command": ["/bin/much"]})
        head, _, shown = str(finished.output).partition("Output:\n")
        assert head == "Exit code: 0\nWall time: 0.0 seconds\nTotal output lines: 20000\n"
        assert shown.startswith("word\n")
        assert "tokens truncated…" in shown

    on_bench(in_a_world(("/bin/much", _prints_much)), test, token_limit=100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"command": []}, "command must name a program"),
        ({"command": [""]}, "command must name a program"),
        ({"command": ["a\0b"]}, "NUL"),
        ({"command": ["ls"], "timeout_ms": 0}, "timeout_ms must be greater than zero"),
        ({"command": "ls"}, "Expected `array`, got `str`"),
        ({"command": ["*** Begin Patch\n*** End Patch"]}, "call the apply_patch tool"),
        ({"command": ["/none"]}, "the command was not started"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(arguments: Any, words: str) -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("shell", arguments)
        assert words in str(finished.output)
        assert finished.outcome == "failed"

    on_bench(World(1), test)


@pytest.mark.parametrize(
    "command",
    [
        ["apply_patch", "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"],
        ["bash", "-lc", "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\nEOF"],
        ["bash", "-lc", "cd sub && apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: ../a\n+x\n*** End Patch\nEOF"],
    ],
)
def test_a_command_that_only_applies_a_patch_is_one(command: list[str]) -> None:
    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run("shell", {"command": command})
        assert isinstance(prepared.item, FileChange)
        assert str(finished.output).startswith("Exit code: 0\n")
        assert bench.workshop.ports.files.read(f"{CWD}/a") == b"x\n"

    on_bench(World(1), test)
