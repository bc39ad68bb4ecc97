"""turn/*: a user's input begins a turn, steers it, or ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.gateway.caller import Caller
from actors.gateway.images import embedded
from actors.gateway.rpc import RpcError, method
from actors.gateway.settings_patch import patch_of
from actors.gateway.views import begun
from messages.base import TurnId
from messages.client.envelope import INVALID_PARAMS
from messages.client.item import TextInput, UserInput
from messages.client.listing import Nothing
from messages.client.thread import ThreadIdParams
from messages.client.turn import (
    TurnInterruptParams,
    TurnStartParams,
    TurnStartResponse,
    TurnSteerParams,
    TurnSteerResponse,
)
from messages.script import ScriptChoice
from messages.session import CompactThread, InterruptTurn, StartTurn, SteerTurn, TurnAccepted

MAX_INPUT_CHARS: Final = 1_048_576
"""Of text in one input, as the original: more than any model's context, so a paste that is longer is a mistake."""


def check_input(name: str, given: Sequence[UserInput]) -> None:
    """Raises RpcError for more text than any turn takes."""
    chars = sum(len(part.text) for part in given if isinstance(part, TextInput))
    if chars > MAX_INPUT_CHARS:
        raise RpcError(
            INVALID_PARAMS,
            f"{name}: the input is {chars} characters long; at most {MAX_INPUT_CHARS} are taken",
            {"input_error_code": "input_too_large", "max_chars": MAX_INPUT_CHARS, "actual_chars": chars},
        )


def _submission(caller: Caller, client_id: str | None) -> str:
    """The client's own id makes it safe to send again; without one every request is a new submission."""
    return client_id or caller.house.ports.entropy.uuid7()


async def start(caller: Caller, params: TurnStartParams) -> TurnStartResponse:
    check_input("turn/start", params.input)
    given = await embedded(caller.house.ports, "turn/start", params.input)
    accepted = await caller.ask(
        params.thread_id,
        StartTurn(
            submission_id=_submission(caller, params.client_user_message_id),
            input=given,
            settings=patch_of(params, await caller.profiles_for(params.permissions)),
            output_schema=params.output_schema,
            client_id=params.client_user_message_id,
            scripts=None
            if params.scripts is None
            else ScriptChoice(mode=params.scripts.mode, allowed_tools=params.scripts.allowed_tools),
        ),
        TurnAccepted,
    )
    return TurnStartResponse(turn=begun(accepted.turn_id))


async def steer(caller: Caller, params: TurnSteerParams) -> TurnSteerResponse:
    check_input("turn/steer", params.input)
    given = await embedded(caller.house.ports, "turn/steer", params.input)
    accepted = await caller.ask(
        params.thread_id,
        SteerTurn(
            submission_id=_submission(caller, params.client_user_message_id),
            input=given,
            expected_turn_id=TurnId(params.expected_turn_id),
            client_id=params.client_user_message_id,
        ),
        TurnAccepted,
    )
    return TurnSteerResponse(turn_id=accepted.turn_id)


async def interrupt(caller: Caller, params: TurnInterruptParams) -> Nothing:
    turn_id = None if params.turn_id is None else TurnId(params.turn_id)
    await caller.ask(params.thread_id, InterruptTurn(turn_id=turn_id), TurnAccepted)
    return Nothing()


async def compact(caller: Caller, params: ThreadIdParams) -> Nothing:
    await caller.ask(params.thread_id, CompactThread(submission_id=_submission(caller, None)), TurnAccepted)
    return Nothing()


METHODS = (
    method("turn/start", TurnStartParams, start),
    method("turn/steer", TurnSteerParams, steer),
    method("turn/interrupt", TurnInterruptParams, interrupt),
    method("thread/compact/start", ThreadIdParams, compact),
)
