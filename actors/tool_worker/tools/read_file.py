"""read_file: numbered lines of a file, by position or by indentation."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from actors.tool_worker.reading import Indentation, ReadingError, ReadRequest, read_file
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from actors.tool_worker.truncation import truncate


class IndentationArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    anchor_line: Annotated[int | None, msgspec.Meta(description="The line to start from; default: offset.")] = None
    max_levels: Annotated[int, msgspec.Meta(description="How many levels of nesting to go out; 0 means all.")] = 0
    include_siblings: Annotated[bool, msgspec.Meta(description="Also blocks beside the anchor's.")] = False
    include_header: Annotated[bool, msgspec.Meta(description="Also comments right above the block.")] = True
    max_lines: Annotated[int | None, msgspec.Meta(description="At most this many; default: limit.")] = None


class ReadFileArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file_path: Annotated[str, msgspec.Meta(description="Absolute path of the file.")]
    offset: Annotated[int, msgspec.Meta(description="First line, counted from 1.")] = 1
    limit: Annotated[int, msgspec.Meta(description="How many lines.")] = 2000
    mode: Annotated[
        Literal["slice", "indentation"],
        msgspec.Meta(description="slice: lines from offset on. indentation: the block around a line."),
    ] = "slice"
    indentation: IndentationArguments | None = None


class ReadFile(FunctionTool[ReadFileArguments]):
    """Semantics: reference/core CORE, appendix A."""

    name = "read_file"
    description = "Read a text file. Lines come back as `L<number>: <text>`."

    def __init__(self) -> None:
        super().__init__(ReadFileArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        ports = job.workshop.ports

        async def run() -> Result:
            try:
                text = await ports.threads.run(read_file, _request(arguments), ports.files)
            except ReadingError as error:
                raise ToolError(str(error)) from error
            return Result(output=truncate(text, job.truncation))

        return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False)


def _request(arguments: ReadFileArguments) -> ReadRequest:
    block = arguments.indentation or IndentationArguments()
    return ReadRequest(
        path=arguments.file_path,
        offset=arguments.offset,
        limit=arguments.limit,
        mode=arguments.mode,
        indentation=Indentation(
            anchor_line=block.anchor_line,
            max_levels=block.max_levels,
            include_siblings=block.include_siblings,
            include_header=block.include_header,
            max_lines=block.max_lines,
        ),
    )
