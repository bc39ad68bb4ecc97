"""A call that a script has spawned is the thread's: its turn records nothing for it."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from actors.tool_worker.snapshots.thread import ThreadSnapshots
from messages.base import CallId, ItemId
from messages.tools import ScriptPlace
from tests.actors.tool_worker.tools.bench import SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World


class Recorder:
    """In place of the snapshots."""

    def __init__(self) -> None:
        self.before_turns: list[str] = []

    async def before(self, turn_id: str, cwd: str) -> None:
        del cwd
        self.before_turns.append(turn_id)


async def _done(run: ProgramRun) -> int:
    await run.write(b"done")
    return 0


@pytest.mark.parametrize(("spawned", "recorded"), [(False, ["turn"]), (True, [])])
def test_only_what_the_turn_itself_changes_is_recorded_for_an_undo(spawned: bool, recorded: list[str]) -> None:
    world = World(1)
    world.programs.add(SHELL, _done)
    recorder = Recorder()

    async def test(bench: Bench) -> None:
        bench.workshop.snapshots = cast("ThreadSnapshots", recorder)
        place = ScriptPlace(script=CallId("s"), item_id=ItemId("s"), number=1, line=1, column=1, spawned=spawned)
        call = msgspec.structs.replace(bench.call("exec_command", {"cmd": "make"}), by="script", place=place)
        _, finished, _ = await bench.events(call)
        assert finished.outcome == "done"
        bench.workshop.snapshots = None

    on_bench(world, test)
    assert recorder.before_turns == recorded
