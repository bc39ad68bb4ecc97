"""Running a helper program to its end: its input given, its two outputs collected up to a limit, its time bounded.

For what the daemon itself runs on a thread's behalf (git, hooks); a model's commands are `terminals`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import trio

from actors.ports import Processes
from actors.ports.processes import Process, SpawnRequest

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
"""Of each output that is kept, unless the caller says otherwise: the paths of a very large repository."""


class ProgramTimeoutError(Exception):
    """The program was still running when its time was up; it and all it started are gone."""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended and what it wrote; each output cut at the limit."""

    code: int
    output: bytes
    complaint: bytes


async def run_program(
    processes: Processes,
    argv: tuple[str, ...],
    *,
    cwd: str,
    environment: Mapping[str, str],
    seconds: float,
    stdin: bytes = b"",
    limit: int = OUTPUT_BYTES_MAX,
) -> Ran:
    """Run it contained. Raises SpawnError when it cannot be started, ProgramTimeoutError after ``seconds``."""
    request = SpawnRequest(
        argv=argv,
        cwd=cwd,
        environment=dict(environment),
        stdin="pipe" if stdin else "closed",
        stderr="separate",
    )
    process = await processes.spawn(request)
    output, complaint = bytearray(), bytearray()
    try:
        with trio.move_on_after(seconds) as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process, stdin)
                nursery.start_soon(_collect_errors, process, complaint, limit)
                while chunk := await process.read_output():
                    output.extend(chunk[: limit - len(output)])
            status = await process.wait()
        if patience.cancelled_caught:
            raise ProgramTimeoutError(f"{argv[0]} took longer than {seconds:g} s")
    finally:
        await process.aclose()
    return Ran(code=status.code, output=bytes(output), complaint=bytes(complaint))


async def _feed(process: Process, stdin: bytes) -> None:
    if not stdin:
        return
    try:
        await process.write_stdin(stdin)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # it did not want to hear it all; how it ended says the rest
    process.close_stdin()


async def _collect_errors(process: Process, into: bytearray, limit: int) -> None:
    while chunk := await process.read_stderr():
        into.extend(chunk[: limit - len(into)])
