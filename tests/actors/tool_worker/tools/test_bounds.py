"""A command that never stops printing costs what is kept of its output, and no more."""

from __future__ import annotations

import trio

from actors.tool_worker.head_tail import OUTPUT_BYTES_MAX
from actors.tool_worker.terminals import LIVE_CHARS_MAX, LIVE_CUT
from messages.client.item import CommandExecution
from tests.actors.tool_worker.tools.bench import SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World

PRINTED = 64 * 1024 * 1024
PIECE = b"y\n" * 32_768


async def _yes(run: ProgramRun) -> int:
    for _ in range(PRINTED // len(PIECE)):
        await run.write(PIECE)
    await trio.sleep_forever()


def test_what_is_kept_and_shown_of_endless_output_is_bounded_while_it_comes() -> None:
    world = World(1)
    world.programs.add(SHELL, _yes)

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "yes", "yield_time_ms": 250, "max_output_tokens": 100})
        assert finished.terminal is not None
        terminal = bench.workshop.terminals.find(finished.terminal)
        assert terminal is not None
        while terminal.buffer.total_bytes < PRINTED:
            await bench.run("write_stdin", {"session_id": finished.terminal})
        assert terminal.buffer.kept_bytes <= OUTPUT_BYTES_MAX
        assert terminal.fresh.kept_bytes <= OUTPUT_BYTES_MAX
        live = bench.outputs["call_1"]
        assert live.chars <= LIVE_CHARS_MAX + len(LIVE_CUT)
        assert live.text().endswith(LIVE_CUT)
        assert len(str(finished.output)) < 2_000
        await bench.workshop.terminals.stop(terminal)
        item = terminal.finished_item()
        assert isinstance(item, CommandExecution)
        assert f"... {PRINTED - OUTPUT_BYTES_MAX} bytes omitted ..." in (item.aggregated_output or "")

    on_bench(world, test)
