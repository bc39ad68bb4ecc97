"""The output of a script's call, when it is too large to be passed on: kept on disk, with handles in its place.

Here and not in the session, because it takes a disk, and because the value has to be durable before the log says that
there is one. What cannot be kept makes the call's value an error that says why; the call itself is done all the same.
"""

from __future__ import annotations

import msgspec

from actors.rollout_writer.handle_store import NOWHERE, HandleStore
from actors.rollout_writer.handles import HandleError
from actors.sandbox_pool.limits import RESULT_BYTES
from actors.sandbox_pool.values import Parts, image_bytes, large, parts_of, too_large, value
from actors.tool_worker.tool import Job, Result
from messages.handle import Handle, Kept


async def kept_of(job: Job, result: Result) -> tuple[Result, Kept | None]:
    """The result without what was kept of it, and that; None: all of it can be passed on."""
    if job.call.by != "script" or result.outcome != "done":
        return result, None
    return await keep(result, job.workshop.handles)


async def keep(result: Result, store: HandleStore | None) -> tuple[Result, Kept | None]:
    """The same, of a script's call that is done. ``store``: None, where nothing is kept."""
    parts = parts_of(result.output, result.item, result.terminal)
    if not too_large(parts):
        return result, None
    try:
        kept = await _keep(parts, store)
    except HandleError as error:
        kept = _problem(str(error))
    if kept.problem is None and len(value(parts, kept)) > RESULT_BYTES:
        kept = _problem("it has too many parts")
    if isinstance(result.output, str):  # nobody needs it in memory any more
        head = result.output[: len(result.output) - len(parts.text)]  # what is told above a command's output
        result = msgspec.structs.replace(result, output=head + ("" if kept.text is None else kept.text.preview))
    return result, kept


def _problem(why: str) -> Kept:
    return Kept(problem=f"the result is larger than {RESULT_BYTES} bytes: {why}. Ask for less of it")


async def _keep(parts: Parts, store: HandleStore | None) -> Kept:
    """Raises HandleError."""
    if store is None:
        raise HandleError(NOWHERE)
    text = await store.keep(parts.text.encode("utf-8", "replace"), "text") if large(parts.text) else None
    images: list[Handle | None] = []
    for url in parts.images:
        found = image_bytes(url) if large(url) else None
        images.append(None if found is None else await store.keep(found[0], "bytes", found[1]))
    return Kept(text=text, images=tuple(images))
