"""command/exec: a command of the client's own, beside any thread."""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import method
from messages.client.command import (
    CommandExecParams,
    CommandExecResponse,
    CommandResizeParams,
    CommandTerminateParams,
    CommandWriteParams,
)
from messages.client.listing import Nothing


async def run(caller: Caller, params: CommandExecParams) -> CommandExecResponse:
    return await caller.commands.run(params)


async def write(caller: Caller, params: CommandWriteParams) -> Nothing:
    await caller.commands.write(params)
    return Nothing()


async def terminate(caller: Caller, params: CommandTerminateParams) -> Nothing:
    await caller.commands.terminate(params.process_id)
    return Nothing()


async def resize(caller: Caller, params: CommandResizeParams) -> Nothing:
    caller.commands.resize(params)
    return Nothing()


METHODS = (
    method("command/exec", CommandExecParams, run),
    method("command/exec/write", CommandWriteParams, write),
    method("command/exec/terminate", CommandTerminateParams, terminate),
    method("command/exec/resize", CommandResizeParams, resize),
)
