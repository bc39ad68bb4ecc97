"""Calls that a client runs: asked, answered once, or given up with their call."""

from __future__ import annotations

from actors.session.effects import AskClient, EndClientCall, HandAnswer
from actors.session.state import Call
from actors.session.step import Step
from messages.session import AnswerClientCall
from messages.tools import ClientAsked


def asked(step: Step, event: ClientAsked) -> None:
    """A worker's call is a client's to run. Of one that is being ended it means nothing."""
    call = step.call(event.call_id)
    if call is None or call.phase != "running" or call.cancelled or step.turn.closing is not None:
        return
    step.put_call(call, client_call_id=event.call.id)
    step.do(AskClient(call=event.call))


def answered(step: Step, answer: AnswerClientCall) -> bool:
    """A client has answered. False if nobody waits for that, or somebody was faster."""
    turn = step.state.turn
    if turn is None or turn.closing is not None:
        return False
    call = next((each for each in turn.calls if each.client_call_id == answer.client_call_id), None)
    if call is None or call.cancelled:
        return False
    give_up(step, call)
    step.do(HandAnswer(child=call.child, answer=answer.answer))
    return True


def give_up(step: Step, call: Call) -> Call:
    """Nobody is asked any more."""
    if call.client_call_id is None:
        return call
    step.do(EndClientCall(client_call_id=call.client_call_id))
    return step.put_call(call, client_call_id=None)
