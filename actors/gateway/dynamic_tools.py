"""Tools that clients offer: judged when they are offered, called through one client at a time. Pure but for `Hosts`.

Of the clients that watch a thread with such tools, one is its *host*, to which calls are put: the one that has watched
it longest, which at first is the one that offered them. When it goes the next one takes over, and is told of the calls
that are still open, under the ids they had. Putting a call to all of them, as questions to people are, would have it
run as often as there are clients; and the error of one that does not know the tool would be the first answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from actors.gateway.rpc import RpcError
from actors.tool_worker.schema_check import carriers, refusal
from actors.tool_worker.toolset import spec_of
from messages.base import ThreadId
from messages.client.dynamic import (
    AudioContentItem,
    DynamicToolParam,
    FunctionToolParam,
    NamespaceParam,
    ToolCallAnswer,
    ToolCallParams,
)
from messages.client.envelope import ABSENT, INVALID_PARAMS, Incoming
from messages.client.item import ImageContentItem, TextContentItem
from messages.client_call import ClientAnswer, ClientCall
from messages.tool_set import DynamicTool

if TYPE_CHECKING:
    from actors.gateway.watching import Watched

CALL_METHOD: Final = "item/tool/call"

MAX_TOOLS: Final = 256
"""Of one thread. Models lose their way among a tenth of that."""

ERROR_CHARS: Final = 2000
"""Of a client's error that a model is told."""

_answers: msgspec.json.Decoder[ToolCallAnswer] = msgspec.json.Decoder(ToolCallAnswer)


# --- offered --------------------------------------------------------------------------------------------------------


def offered(params: Iterable[DynamicToolParam], ours: frozenset[str]) -> tuple[DynamicTool, ...]:
    """The tools of a thread that begins. ``ours``: names that are taken. Raises RpcError with the reason for the first
    tool that no model could be offered."""
    found: dict[str, DynamicTool] = {}
    for namespace, param in _flat(params):
        tool = _checked(namespace, param)
        if tool.full_name in ours or tool.full_name in found:
            whose = "a tool of the daemon" if tool.full_name in ours else "another tool"
            raise _refused(f"the tool {tool.full_name!r} has the name of {whose}; give it another")
        found[tool.full_name] = tool
    if len(found) > MAX_TOOLS:
        raise _refused(f"{len(found)} tools are offered; at most {MAX_TOOLS} are taken")
    return tuple(found.values())


def _flat(params: Iterable[DynamicToolParam]) -> Iterator[tuple[str | None, FunctionToolParam]]:
    for param in params:
        if isinstance(param, NamespaceParam):
            for tool in param.tools:
                yield param.name, tool
        else:
            yield None, param


def _checked(namespace: str | None, param: FunctionToolParam) -> DynamicTool:
    tool = DynamicTool(
        name=param.name,
        namespace=namespace,
        description=param.description,
        parameters=param.input_schema,
        deferred=param.defer_loading,
    )
    spec = spec_of(tool)
    reason = refusal(spec)
    if reason is not None:
        raise _refused(reason)
    return msgspec.structs.replace(tool, wires=carriers(spec))


def _refused(reason: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"thread/start: dynamicTools: {reason}")


# --- called ---------------------------------------------------------------------------------------------------------


def call_params(thread_id: ThreadId, call: ClientCall) -> ToolCallParams:
    """A call as a client is asked to run it."""
    return ToolCallParams(
        thread_id=thread_id,
        turn_id=call.turn_id,
        call_id=call.item_id,
        tool=call.tool,
        arguments=call.arguments,
        namespace=call.namespace,
    )


def read_answer(message: Incoming) -> ClientAnswer:
    """What a client made of a call. What cannot be read is a failure, in words that the model can use."""
    if message.result is ABSENT:
        said = bytes(message.error).decode("utf-8", "replace")[:ERROR_CHARS]
        return ClientAnswer(success=False, problem=f"The client could not run this call: {said}")
    try:
        answer = _answers.decode(message.result)
    except (msgspec.MsgspecError, RecursionError) as error:
        return ClientAnswer(success=False, problem=f"The client ran this call, and its answer cannot be read: {error}")
    return ClientAnswer(success=answer.success, content=tuple(_told(part) for part in answer.content_items))


def _told(
    part: TextContentItem | ImageContentItem | AudioContentItem,
) -> TextContentItem | ImageContentItem:
    if isinstance(part, AudioContentItem):
        return TextContentItem(text="(a sound, which cannot be passed on to a model)")
    return part


# --- by whom --------------------------------------------------------------------------------------------------------


class Hosts:
    """Of every thread with tools of clients, who watches it and would run them, in the order in which they came."""

    __slots__ = ("_watchers",)

    def __init__(self) -> None:
        self._watchers: dict[ThreadId, list[Watched]] = {}

    def join(self, thread_id: ThreadId, watched: Watched) -> None:
        """A connection begins to watch."""
        watchers = self._watchers.setdefault(thread_id, [])
        if watched not in watchers:
            watchers.append(watched)

    def leave(self, thread_id: ThreadId, watched: Watched) -> Watched | None:
        """A connection stops. The one that is the host from now on, if that has changed."""
        watchers = self._watchers.get(thread_id, [])
        if watched not in watchers:
            return None
        was_host = watchers[0] is watched
        watchers.remove(watched)
        if not watchers:
            del self._watchers[thread_id]
            return None
        return watchers[0] if was_host else None

    def is_host(self, thread_id: ThreadId, watched: Watched) -> bool:
        """Whether calls are put to this connection."""
        watchers = self._watchers.get(thread_id)
        return watchers is not None and watchers[0] is watched
