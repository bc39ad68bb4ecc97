"""thread/backgroundTerminals/*: commands of a thread that go on beyond their turn."""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from messages.client.envelope import INVALID_PARAMS
from messages.client.listing import Nothing
from messages.client.thread import (
    BackgroundTerminal,
    TerminalsListParams,
    TerminalsListResponse,
    TerminalTerminateParams,
    TerminalTerminateResponse,
    ThreadIdParams,
)
from messages.session import CleanTerminals, ListTerminals, TerminateTerminal


async def list_(caller: Caller, params: TerminalsListParams) -> TerminalsListResponse:
    # A thread has a handful of them: one page holds them all.
    found = await caller.ask(params.thread_id, ListTerminals(), tuple)
    return TerminalsListResponse(
        data=tuple(
            BackgroundTerminal(item_id=each.item_id, process_id=str(each.terminal), command=each.command, cwd=each.cwd)
            for each in found
        )
    )


async def terminate(caller: Caller, params: TerminalTerminateParams) -> TerminalTerminateResponse:
    if not params.process_id.isascii() or not params.process_id.isdigit():
        raise RpcError(INVALID_PARAMS, f"{params.process_id[:50]!r} is not the processId of a background terminal")
    ended = await caller.ask(params.thread_id, TerminateTerminal(terminal=int(params.process_id)), bool)
    return TerminalTerminateResponse(terminated=ended)


async def clean(caller: Caller, params: ThreadIdParams) -> Nothing:
    await caller.tell(params.thread_id, CleanTerminals())
    return Nothing()


METHODS = (
    method("thread/backgroundTerminals/list", TerminalsListParams, list_),
    method("thread/backgroundTerminals/terminate", TerminalTerminateParams, terminate),
    method("thread/backgroundTerminals/clean", ThreadIdParams, clean),
)
