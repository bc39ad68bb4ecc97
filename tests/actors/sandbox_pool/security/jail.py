"""Where the cases run: real confined workers, and, as the control, the bare engine without any measure of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import _quickjs
import trio

from actors.ports.production.scripts import ZygoteEngine
from actors.sandbox_pool.inside.typescript import erase_types
from messages.script import ScriptLimits, ScriptOutcome
from tests.actors.sandbox_pool.stage import PLAYS, Play, Show, limited, play
from tests.actors.sandbox_pool.test_attacks import childless, children_of, zygote

QUICK = limited(cpu_seconds=0.1, wall_seconds=0.4)
"""Of attacks that end by a limit: short, so that the whole matrix is."""

PATIENCE_SECONDS = 60.0
"""For a case, on a machine that has other things to do; what is waited for takes a second."""

CONTEXT = {"workingDirectory": "/work", "deep": {"a": [1]}}


class Jail:
    """One zygote; every script gets a worker of its own."""

    def __init__(self, engine: ZygoteEngine) -> None:
        self.engine = engine
        self.peak_bytes = 0
        """The most memory that a worker was seen to have."""

    async def run(
        self,
        source: str,
        *,
        plays: Mapping[str, Play] | None = None,
        limits: ScriptLimits | None = None,
        alone: bool = True,
    ) -> Show:
        """Run it to its end; nothing of it may be left. ``alone``: no other script runs here."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            show = await play(
                source,
                engine=self.engine,
                plays=dict(PLAYS if plays is None else plays),
                limits=limits or limited(),
                context=CONTEXT,
            )
            nursery.cancel_scope.cancel()
        assert show.tools.running == 0
        if alone:
            await childless(self.engine.pid)
        return show

    async def value(self, source: str) -> Any:
        """What it returns."""
        return (await self.run(source)).value

    async def outcome(self, source: str, limits: ScriptLimits = QUICK) -> ScriptOutcome:
        """How it ends, under short limits."""
        return (await self.run(source, limits=limits)).outcome

    async def _watch(self) -> None:
        while True:
            for pid in children_of(self.engine.pid):
                self.peak_bytes = max(self.peak_bytes, peak(int(pid)))
            await trio.sleep(0.01)


@asynccontextmanager
async def jail() -> AsyncIterator[Jail]:
    """To be left with no worker in it, and with the next script running well."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with zygote() as engine:
            place = Jail(engine)
            yield place
            assert await place.value("return 'well'") == "well"


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


# ── the bare engine ──────────────────────────────────────────────────────────────────────────────────────────────────

BARE = """
globalThis.asked = [];
globalThis.answer = 'nothing';
const tools = { echo(a) { asked.push(JSON.stringify(a)); return Promise.resolve(a); } };
(async (tools, context) => {
%s
})(tools, { deep: { a: [1] } }).then(
  (value) => { answer = JSON.stringify({ value, asked }); },
  (error) => { answer = JSON.stringify({ error: String(error), asked }); });
"""


def bare(source: str) -> tuple[Any, list[str]]:
    """What the script returns without prelude, worker and limits, and what it asked of its tools."""
    context = _quickjs.Context()
    context.set_time_limit(5)
    context.eval(BARE % erase_types(source))
    while context.execute_pending_job():
        pass
    answer = json.loads(context.eval("[answer].join('')"))
    assert "value" in answer, answer
    return answer["value"], answer["asked"]


ALONE = """
import _quickjs, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
context = _quickjs.Context()
if (stack := int(sys.argv[1])) >= 0:
    context.set_max_stack_size(stack)
if (limit := float(sys.argv[2])) > 0:
    context.set_time_limit(limit)
try:
    context.eval(sys.stdin.read())
    while context.execute_pending_job():
        pass
except _quickjs.JSException as error:
    sys.exit(str(error))
"""


def alone(source: str, *, stack: int = -1, time_limit: float = 0.0) -> int:
    """The exit status of the bare engine in a process that may use one second of processor time."""
    words = (sys.executable, "-c", ALONE, str(stack), str(time_limit))
    program = f"(async () => {{\n{erase_types(source)}\n}})()"
    return subprocess.run(words, input=program.encode(), capture_output=True, timeout=50).returncode
