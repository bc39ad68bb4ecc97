"""callboard/script/run: a script of a person's, in a thread, as a turn in which no model is asked.

Its calls are the thread's: same tools, sandbox, policy, approvals, log and screen as those of a model's script.
"""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.gateway.views import begun
from messages.client.envelope import INVALID_PARAMS
from messages.client.script import ScriptRunParams, ScriptRunResponse
from messages.script import ScriptChoice
from messages.session import RunScript, TurnAccepted


async def run(caller: Caller, params: ScriptRunParams) -> ScriptRunResponse:
    if not params.source.strip():
        raise RpcError(INVALID_PARAMS, "callboard/script/run: source is empty")
    command = RunScript(
        submission_id=params.client_user_message_id or caller.house.ports.entropy.uuid7(),
        source=params.source,
        choice=ScriptChoice(mode=params.mode or "enabled", allowed_tools=params.allowed_tools),
    )
    accepted = await caller.ask(params.thread_id, command, TurnAccepted)
    return ScriptRunResponse(turn=begun(accepted.turn_id))


METHODS = (method("callboard/script/run", ScriptRunParams, run),)
