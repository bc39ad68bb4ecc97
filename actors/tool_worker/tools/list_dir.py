"""list_dir: a page of a directory tree."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.tool_worker.listing import ListingError, ListRequest, list_dir
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from actors.tool_worker.truncation import truncate


class ListDirArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dir_path: Annotated[str, msgspec.Meta(description="Absolute path of the directory.")]
    offset: Annotated[int, msgspec.Meta(description="First entry, counted from 1.")] = 1
    limit: Annotated[int, msgspec.Meta(description="How many entries.")] = 25
    depth: Annotated[int, msgspec.Meta(description="How many levels; 1 is the directory alone.")] = 2


class ListDir(FunctionTool[ListDirArguments]):
    """Semantics: reference/core CORE, appendix A."""

    name = "list_dir"
    description = "List a directory. `/` marks directories and `@` symlinks; nested entries are indented."

    def __init__(self) -> None:
        super().__init__(ListDirArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        ports = job.workshop.ports
        request = ListRequest(
            path=arguments.dir_path, offset=arguments.offset, limit=arguments.limit, depth=arguments.depth
        )

        async def run() -> Result:
            try:
                text = await ports.threads.run(list_dir, request, ports.files)
            except ListingError as error:
                raise ToolError(str(error)) from error
            return Result(output=truncate(text, job.truncation))

        return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False)
