"""file_search: files and folders whose path is like a few letters, best first."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.ports.processes import SpawnError
from actors.tool_worker.file_search.listing import all_candidates
from actors.tool_worker.file_search.ranking import MAX_QUERY_CHARS, Match, rank
from actors.tool_worker.os_errors import os_error_text
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from actors.tool_worker.truncation import truncate

LIMIT_DEFAULT, LIMIT_MAX = 50, 1000
"""Nobody reads beyond a page or two; whoever needs all files lists them."""

NOTHING = "No files found."


class FileSearchArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, msgspec.Meta(description="Parts of the path, in any order, separated by spaces.")]
    path: Annotated[str | None, msgspec.Meta(description="Below which folder; default: the working directory.")] = None
    limit: Annotated[int, msgspec.Meta(description="At most this many, up to 1000.")] = LIMIT_DEFAULT


class FileSearch(FunctionTool[FileSearchArguments]):
    """Lines of ``<score> <path>``: paths relative to the folder searched, folders with a slash behind them."""

    name = "file_search"
    description = (
        "Find files and folders by their path when you know it only roughly; what git ignores is left out. Lines are "
        "`<score> <path>`, best first, relative to the folder searched."
    )

    def __init__(self) -> None:
        super().__init__(FileSearchArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        if not arguments.query.strip():
            raise ToolError("query must not be empty; to see what a folder holds, use list_dir")
        if len(arguments.query) > MAX_QUERY_CHARS:
            raise ToolError(f"query has {len(arguments.query)} characters; at most {MAX_QUERY_CHARS} are searched for")
        if arguments.limit < 1:
            raise ToolError("limit must be greater than zero")

        async def run() -> Result:
            found = await _search(job, arguments)
            if not found:
                return Result(output=NOTHING, outcome="failed")
            return Result(output=truncate("\n".join(map(_line, found)), job.truncation))

        return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False)


async def _search(job: Job, arguments: FileSearchArguments) -> tuple[Match, ...]:
    workshop = job.workshop
    ports = workshop.ports
    root = workshop.resolve(arguments.path)
    try:
        folder = await ports.threads.run(ports.files.stat, root)
    except OSError as error:
        raise ToolError(f"unable to search `{root}`: {os_error_text(error)}") from error
    if folder is None:
        raise ToolError(f"unable to search `{root}`: No such file or directory (os error 2)")
    if folder.kind != "directory":
        raise ToolError(f"unable to search `{root}`: it is not a directory")
    try:
        listed = await all_candidates(ports.processes, root, workshop.environment(job.call), workshop.reading())
    except SpawnError as error:
        raise ToolError(f"unable to search `{root}`: {error}") from error
    limit = min(arguments.limit, LIMIT_MAX)
    return await ports.threads.run(lambda: rank(arguments.query, listed, limit=limit))


def _line(match: Match) -> str:
    candidate = match.candidate
    return f"{max(match.score, 0)} {candidate.path}{'/' if candidate.kind == 'directory' else ''}"
