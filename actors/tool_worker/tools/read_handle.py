"""read_handle: a part of a large value that a script left under a handle."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec

from actors.rollout_writer.handle_store import NOWHERE, SLICE_BYTES, VALUE_BYTES_MAX
from actors.rollout_writer.handles import HandleError
from actors.sandbox_pool.values import image_url
from actors.tool_worker.imaging import SHOWN_BYTES_MAX, media_type_of
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from messages.handle import Slice
from messages.items import InputImage


class ReadHandleArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    handle: Annotated[str, msgspec.Meta(description="As it was given, e.g. text-0f34….")]
    from_: Annotated[
        int, msgspec.Meta(description="First byte; negative: from the end. Moved down to a whole character.")
    ] = msgspec.field(default=0, name="from")
    to: Annotated[
        int | None, msgspec.Meta(description="Behind the last byte; default: as much as is shown at once.")
    ] = None


class ReadHandle(FunctionTool[ReadHandleArguments]):
    """A model is shown as much as its outputs may have, and told where it can read on; a script gets exactly the slice
    that it asked for, or an error. An image is shown as one."""

    name = "read_handle"
    description = (
        "Read a part of a large value that a script of this thread left under a handle. Says where the part begins and "
        "ends, so that you can read on. An image is shown whole."
    )
    needs = ("handles",)

    def __init__(self) -> None:
        super().__init__(ReadHandleArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)

        async def run() -> Result:
            try:
                return await _read(job, arguments)
            except HandleError as error:
                raise ToolError(str(error)) from error

        return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False)


async def _read(job: Job, arguments: ReadHandleArguments) -> Result:
    """Raises HandleError."""
    store = job.workshop.handles
    if store is None:
        raise HandleError(NOWHERE)
    if job.call.by == "script":
        found = await store.read(arguments.handle, arguments.from_, arguments.to, most=SLICE_BYTES, cut=False)
        return Result(output=_told(found))
    if arguments.handle.startswith("bytes-"):
        whole = await store.read(arguments.handle, None, None, most=VALUE_BYTES_MAX, cut=True)
        media_type = media_type_of(whole.data)
        if media_type is not None and whole.size <= SHOWN_BYTES_MAX:
            return Result(output=(InputImage(image_url=image_url(whole.data, media_type), detail="original"),))
    most = min(SLICE_BYTES, job.truncation.budget_bytes)
    if arguments.handle.startswith("bytes-"):
        most = most * 3 // 4  # base64
    found = await store.read(arguments.handle, arguments.from_, arguments.to, most=most, cut=True)
    more = f"; read on from {found.end}" if found.end < found.size else ""
    return Result(output=f"Bytes {found.start} to {found.end} of {found.size} ({found.type}){more}:\n{_told(found)}")


def _told(found: Slice) -> str:
    return base64.b64encode(found.data).decode() if found.type == "bytes" else found.data.decode()
