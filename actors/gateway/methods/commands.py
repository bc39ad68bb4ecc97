"""command/exec: a command of the client's own, beside any thread; thread/shellCommand: one in a thread, as a turn."""

from __future__ import annotations

import posixpath

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.gateway.sandbox import policy_patch, rules_of, sandbox_in_force
from actors.ports.processes import Confinement
from actors.tool_worker.confinement.policy import confinement_of
from messages.client.command import (
    CommandExecParams,
    CommandExecResponse,
    CommandResizeParams,
    CommandTerminateParams,
    CommandWriteParams,
    ShellCommandParams,
)
from messages.client.envelope import INVALID_PARAMS
from messages.client.listing import Nothing
from messages.session import RunUserCommand, ThreadSettings, TurnAccepted


async def run(caller: Caller, params: CommandExecParams) -> CommandExecResponse:
    return await caller.commands.run(params, await _confinement(caller, params))


async def _confinement(caller: Caller, params: CommandExecParams) -> Confinement | None:
    """As the client asks; else as the settings say, for the command's folder. Raises RpcError."""
    cwd = posixpath.normpath(posixpath.join(caller.house.cwd, params.cwd or ""))
    settings = (await caller.gatehouse.configuration.of_thread(cwd, None)).settings
    asked = policy_patch(params.sandbox_policy, params.permission_profile, settings.permissions)
    if "sandbox_mode" not in asked:
        asked = await sandbox_in_force(caller.house.ports.processes, settings, cwd)
    fields = {**rules_of(settings), **asked}
    environment = {**caller.house.environment, **{name: value or "" for name, value in (params.env or {}).items()}}
    return confinement_of(ThreadSettings(provider="", model="", cwd=cwd, **fields), environment, home=caller.house.home)


async def write(caller: Caller, params: CommandWriteParams) -> Nothing:
    await caller.commands.write(params)
    return Nothing()


async def terminate(caller: Caller, params: CommandTerminateParams) -> Nothing:
    await caller.commands.terminate(params.process_id)
    return Nothing()


async def resize(caller: Caller, params: CommandResizeParams) -> Nothing:
    caller.commands.resize(params)
    return Nothing()


async def in_thread(caller: Caller, params: ShellCommandParams) -> Nothing:
    if not params.command.strip():
        raise RpcError(INVALID_PARAMS, "thread/shellCommand: command is empty")
    if params.timeout_ms is not None and params.timeout_ms < 0:
        raise RpcError(INVALID_PARAMS, "thread/shellCommand: timeoutMs is negative")
    command = RunUserCommand(
        submission_id=caller.house.ports.entropy.uuid7(),
        command=params.command,
        timeout_seconds=None if params.timeout_ms is None else params.timeout_ms / 1000,
    )
    await caller.ask(params.thread_id, command, TurnAccepted)
    return Nothing()


METHODS = (
    method("command/exec", CommandExecParams, run),
    method("command/exec/write", CommandWriteParams, write),
    method("command/exec/terminate", CommandTerminateParams, terminate),
    method("command/exec/resize", CommandResizeParams, resize),
    method("thread/shellCommand", ShellCommandParams, in_thread),
)
