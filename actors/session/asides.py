"""What a person runs beside the model, in the turn that runs: `!command` while the model works.

It waits for nothing and nothing waits for it: it starts at once, whatever streams or is being asked, and takes no lock.
Its item completes when it ends. The model is told where input may enter, before its next request or when the turn
ends, so that nothing comes between a call and its output; it is not asked anew because of it. The turn ends when its
asides have ended.
"""

from __future__ import annotations

from actors.session import calls, history
from actors.session.shown import ended, partial
from actors.session.state import Call, CallResult
from actors.session.step import Step, item_id
from messages.log import SteerAccepted

ASIDES_MAX = 8
"""At once: a person types them."""


def start(step: Step, submission_id: str, command: str, timeout_seconds: float | None) -> None:
    """Have a worker prepare a command beside the turn's own calls."""
    turn = step.turn
    made = calls.users_call(step, command, timeout_seconds)
    step.log(SteerAccepted(turn_id=turn.id, submission_id=submission_id))
    step.put_turn(asides=(*turn.asides, made), live=turn.live | {made.child})


def run_ready(step: Step) -> None:
    """Let run what its worker has prepared."""
    for call in step.turn.asides:
        if call.phase == "ready":
            calls.let_run(step, call)


def settle(step: Step, call: Call, result: CallResult) -> None:
    """It has ended: complete its item, and keep what the model is to be told."""
    if call.shown is None and result.item is not None:
        call = step.put_call(call, shown=step.start_item(result.item))
    if call.shown is not None:
        texts = step.at.texts.partial(item_id(call.shown))
        step.complete_item(step.turn.id, result.item or ended(partial(call.shown, texts), result.outcome))
    output = history.output_item(call.call, result.output, failed=result.outcome != "done")
    step.put_call(call, phase="answered", output=output)
    step.put_turn(output_bytes=step.turn.output_bytes + history.output_bytes(result.output))


def enter(step: Step) -> None:
    """Tell the model of those that have ended."""
    turn = step.turn
    over = [call for call in turn.asides if call.output is not None]
    for call in over:
        assert call.output is not None
        step.remember(turn.id, call.output)
    if over:
        step.put_turn(asides=tuple(call for call in step.turn.asides if call.output is None))
