"""callboard/*: what we add to the wire."""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.kernel import Node
from messages.base import CallId, TurnId
from messages.client.callboard import (
    ActorNode,
    CancelCallParams,
    StatusResponse,
    ThreadCounts,
    UndoParams,
    UndoResponse,
)
from messages.client.envelope import INVALID_REQUEST
from messages.client.listing import NoParams, Nothing
from messages.session import CancelToolCall, TurnUndone, UndoTurn


async def status(caller: Caller, _params: NoParams) -> StatusResponse:
    sessions = caller.house.sessions
    return StatusResponse(
        tree=node_body(caller.house.tree()),
        threads=ThreadCounts(loaded=len(sessions.loaded()), active=sessions.active()),
        connections=caller.gatehouse.connections,
    )


def node_body(node: Node) -> ActorNode:
    """The live tree as clients see it."""
    return ActorNode(
        id=node.id,
        kind=node.kind,
        state=node.state,
        mailbox_depth=node.mailbox_depth,
        mailbox_peak=node.mailbox_peak,
        message_age_seconds=node.message_age_seconds,
        restarts=node.restarts,
        last_failure=node.last_failure,
        children=tuple(node_body(child) for child in node.children),
    )


async def cancel_call(caller: Caller, params: CancelCallParams) -> Nothing:
    if not await caller.ask(params.thread_id, CancelToolCall(call_id=CallId(params.call_id)), bool):
        raise RpcError(INVALID_REQUEST, f"no call {params.call_id[:100]!r} runs in this thread")
    return Nothing()


async def undo(caller: Caller, params: UndoParams) -> UndoResponse:
    turn_id = None if params.turn_id is None else TurnId(params.turn_id)
    done = await caller.ask(params.thread_id, UndoTurn(turn_id=turn_id), TurnUndone)
    return UndoResponse(
        turn_id=done.turn_id,
        root=done.root,
        restored=done.restored,
        removed=done.removed,
        left_out=done.left_out,
    )


METHODS = (
    method("callboard/status", NoParams, status),
    method("callboard/toolCall/cancel", CancelCallParams, cancel_call),
    method("callboard/thread/undo", UndoParams, undo),
)
