"""A pseudo-terminal: it controls the tool's session, has a size, takes keys, and ends."""

from __future__ import annotations

import trio

from actors.ports.processes import ExitStatus, TerminalSize
from actors.tool_worker.launcher import Mechanism

from .stage import every_mechanism, launched, read_all, read_words


@every_mechanism
async def test_the_tool_leads_a_session_on_its_terminal(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell(
            "stty size; ids=$(ps -o pgid=,sid=,tpgid= -p $$ | tr -s ' ' '\\n' | sort -u | wc -w);"
            "test -t 0 -a -t 1 -a -t 2 && test $ids = 1 && echo leader; : </dev/tty && echo controlled",
            terminal=TerminalSize(rows=40, columns=132),
        )
        assert await read_all(process) == "40 132\r\nleader\r\ncontrolled\r\n"
        assert await process.wait() == ExitStatus(code=0)
        await process.aclose()


async def test_keys_reach_the_tool_and_an_interrupt_ends_it() -> None:
    async with launched() as stage:
        process = await stage.spawn("sed", "-u", "s/^/got /", terminal=TerminalSize())
        await process.write_stdin(b"keys\n")
        await read_words(process, "got", "keys")
        process.close_stdin()
        await process.write_stdin(b"\x03")
        assert await process.wait() == ExitStatus(code=130, signal=2)
        await process.aclose()


async def test_a_resized_terminal_tells_the_tool() -> None:
    async with launched() as stage:
        process = await stage.shell(
            "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done", terminal=TerminalSize()
        )
        await read_words(process, "ready")
        process.resize(TerminalSize(rows=50, columns=200))
        await read_words(process, "50", "200")
        assert await process.wait() == ExitStatus(code=0)
        process.resize(TerminalSize())
        await process.aclose()
        process.resize(TerminalSize())


async def test_what_was_written_before_the_end_is_read_after_it() -> None:
    async with launched() as stage:
        process = await stage.shell("echo last words", terminal=TerminalSize())
        assert await process.wait() == ExitStatus(code=0)
        assert await read_all(process) == "last words\r\n"
        with trio.move_on_after(0):
            await process.read_output()
        await process.aclose()
