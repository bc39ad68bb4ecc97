"""callboard/handle/read: a part of a large value that a script of a thread left on disk.

Read from beside the thread's rollout, so that nothing has to be loaded for it, and a thread at work is not asked.
"""

from __future__ import annotations

import base64
from typing import Final

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.rollout_writer.handle_store import NOWHERE, HandleStore
from actors.rollout_writer.handles import HandleError
from actors.session.threads import UnknownThreadError
from messages.base import ThreadId
from messages.client.callboard import HandleReadParams, HandleReadResponse
from messages.client.envelope import INVALID_PARAMS

SLICE_BYTES: Final = 1024 * 1024
"""In one answer: in base64, or escaped in the worst way, it stays in the frame that clients take at most."""


async def read(caller: Caller, params: HandleReadParams) -> HandleReadResponse:
    thread_id = ThreadId(params.thread_id)
    summary = await caller.house.library.find(thread_id)
    if summary is None and thread_id not in caller.house.sessions.loaded():
        raise UnknownThreadError(thread_id)
    try:
        if summary is None or summary.path is None:
            raise HandleError(NOWHERE)  # noqa: TRY301  # told like any other reason
        store = HandleStore(caller.house.ports, summary.path)
        found = await store.read(params.handle, params.from_, params.to, most=SLICE_BYTES, cut=True)
    except HandleError as error:
        raise RpcError(INVALID_PARAMS, f"callboard/handle/read: {error}") from error
    is_text = found.type != "bytes"
    return HandleReadResponse(
        handle=params.handle,
        type=found.type,
        size=found.size,
        from_=found.start,
        to=found.end,
        text=found.data.decode() if is_text else None,
        data_base64=None if is_text else base64.b64encode(found.data).decode(),
    )


METHODS = (method("callboard/handle/read", HandleReadParams, read),)
