"""write_stdin: type into a running command, or with nothing to type look at it again."""

from __future__ import annotations

from typing import Annotated

import msgspec
import trio

from actors.tool_worker.terminals import Terminal
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError
from actors.tool_worker.tools.exec_command import answer
from messages.tools import TerminalWritten

WRITE_DEFAULT_MS, WRITE_MIN_MS, WRITE_MAX_MS = 250, 250, 30_000
POLL_DEFAULT_MS, POLL_MIN_MS, POLL_MAX_MS = 5_000, 5_000, 300_000
"""How long a call waits after typing, and when it only looks: models know these numbers."""

STDIN_CLOSED = (
    "write_stdin failed: stdin is closed for this session; rerun exec_command with tty=true to keep stdin open"
)


class WriteStdinArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session_id: Annotated[float, msgspec.Meta(description="As exec_command gave it.")]
    chars: Annotated[str, msgspec.Meta(description="What to type; nothing: only look. \\u0003 is Ctrl-C.")] = ""
    yield_time_ms: Annotated[float | None, msgspec.Meta(description="How long to wait for output.")] = None
    max_output_tokens: Annotated[float | None, msgspec.Meta(description="Cut the output to this.")] = None


class WriteStdin(FunctionTool[WriteStdinArguments]):
    """Semantics: reference/core CORE §1.2. A call loses only its wait when it is cancelled; the command goes on."""

    name = "write_stdin"
    description = "Type into a command that exec_command left running, and return what it wrote since the last look."

    needs = ("commands",)

    def __init__(self) -> None:
        super().__init__(WriteStdinArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)

        async def run() -> Result:
            return await _run(job, arguments)

        # Typing has effects of its own and its order matters, so it runs alone.
        return Prepared(item=None, run=run, parallel_safe=not arguments.chars, side_effects=bool(arguments.chars))


async def _run(job: Job, arguments: WriteStdinArguments) -> Result:
    workshop = job.workshop
    id_ = int(arguments.session_id)
    terminal = workshop.terminals.find(id_)
    if terminal is None:
        raise ToolError(f"write_stdin failed: Unknown process id {id_}")
    began = workshop.ports.clock.monotonic()
    workshop.terminals.touch(terminal)
    if arguments.chars:
        await _type(job, terminal, arguments.chars)
        low, default, high = WRITE_MIN_MS, WRITE_DEFAULT_MS, WRITE_MAX_MS
    else:
        low, default, high = POLL_MIN_MS, POLL_DEFAULT_MS, POLL_MAX_MS
    wanted = default if arguments.yield_time_ms is None else arguments.yield_time_ms
    with trio.move_on_after(min(max(wanted, low), high) / 1000):
        await terminal.ended.wait()
    return answer(
        workshop.terminals,
        terminal,
        ports=workshop.ports,
        policy=job.truncation,
        max_output_tokens=arguments.max_output_tokens,
        began=began,
        own=False,
    )


async def _type(job: Job, terminal: Terminal, text: str) -> None:
    if not terminal.interactive:
        raise ToolError(STDIN_CLOSED)
    assert terminal.process is not None
    try:
        await terminal.process.write_stdin(text.encode("utf-8", "surrogateescape"))
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        if not terminal.ended.is_set():
            raise ToolError(f"write_stdin failed: the command no longer reads its input ({error})") from error
        return
    job.report(TerminalWritten(call_id=job.call.call_id, terminal=terminal.id, text=text))
