"""grep_files: which files match, newest first, by ripgrep."""

from __future__ import annotations

from typing import Annotated

import msgspec
import trio

from actors.ports.processes import Process, SpawnError, SpawnRequest
from actors.tool_worker.file_search.listing import RIPGREP
from actors.tool_worker.os_errors import os_error_text
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from actors.tool_worker.truncation import truncate

SEARCH_SECONDS = 30.0
"""Enough for a large repository; beyond it the pattern or the folder is wrong."""

LIMIT_DEFAULT, LIMIT_MAX = 100, 2000

OUTPUT_BYTES_MAX = 4 * 1024 * 1024
"""Of paths read: twenty times `LIMIT_MAX` long paths."""

NO_MATCH_CODE = 1
ERROR_CODE = 2
NOTHING = "No matches found."


class GrepFilesArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, msgspec.Meta(description="A regular expression, as ripgrep takes it.")]
    include: Annotated[str | None, msgspec.Meta(description="Only files that match this glob, e.g. *.py.")] = None
    path: Annotated[str | None, msgspec.Meta(description="Where to search; default: the working directory.")] = None
    limit: Annotated[int, msgspec.Meta(description="At most this many paths, up to 2000.")] = LIMIT_DEFAULT


class GrepFiles(FunctionTool[GrepFilesArguments]):
    """Semantics: reference/core CORE, appendix A."""

    name = "grep_files"
    description = "Find the files whose contents match a regular expression; most recently changed first."

    def __init__(self) -> None:
        super().__init__(GrepFilesArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        if not arguments.pattern.strip():
            raise ToolError("pattern must not be empty")
        if arguments.limit < 1:
            raise ToolError("limit must be greater than zero")

        async def run() -> Result:
            paths = await _search(job, arguments)
            if not paths:
                return Result(output=NOTHING, outcome="failed")
            shown = paths[: min(arguments.limit, LIMIT_MAX)]
            return Result(output=truncate("\n".join(shown), job.truncation))

        return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False)


async def _search(job: Job, arguments: GrepFilesArguments) -> list[str]:
    workshop = job.workshop
    where = workshop.resolve(arguments.path)
    try:
        found = await workshop.ports.threads.run(workshop.ports.files.stat, where)
    except OSError as error:
        raise ToolError(f"unable to access `{where}`: {os_error_text(error)}") from error
    if found is None:
        raise ToolError(f"unable to access `{where}`: No such file or directory (os error 2)")
    if found.kind == "other":  # ripgrep would wait for a pipe, and read a device for ever
        raise ToolError(f"unable to search `{where}`: it is neither a file nor a directory")
    glob = () if arguments.include is None or not arguments.include.strip() else ("--glob", arguments.include)
    request = SpawnRequest(
        argv=(
            RIPGREP,
            "--no-config",
            "--files-with-matches",
            "--sortr=modified",
            "--no-messages",
            "--regexp",
            arguments.pattern,
            *glob,
            "--",
            where,
        ),
        cwd=workshop.settings.cwd,
        environment=workshop.environment(job.call),
        stderr="separate",
        confinement=workshop.reading(),
    )
    try:
        process = await workshop.ports.processes.spawn(request)
    except SpawnError as error:
        raise ToolError(f"ripgrep could not be started: {error}") from error
    try:
        with trio.move_on_after(SEARCH_SECONDS) as patience:
            output, complaint = await _read_both(process)
            status = await process.wait()
        if patience.cancelled_caught:
            raise ToolError(f"the search took longer than {SEARCH_SECONDS:g} s; narrow the path or the pattern")
    finally:
        await process.aclose()
    if status.code == NO_MATCH_CODE:
        return []
    if status.code >= ERROR_CODE and not output:
        raise ToolError(f"rg failed: {complaint.decode('utf-8', 'replace').strip() or f'exit code {status.code}'}")
    return output.decode("utf-8", "replace").splitlines()


async def _read_both(process: Process) -> tuple[bytes, bytes]:
    output, complaint = bytearray(), bytearray()

    async def read_errors() -> None:
        while chunk := await process.read_stderr():
            complaint.extend(chunk[: OUTPUT_BYTES_MAX - len(complaint)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_errors)
        while chunk := await process.read_output():
            output.extend(chunk[: OUTPUT_BYTES_MAX - len(output)])
    return bytes(output), bytes(complaint)
