"""The user's programs in a turn: asked when it would end, and when people are asked.

They are asked beside everything else. A question goes to people and programs at once, and the first answer counts; so
a program that hangs holds nobody up. A turn that would end waits for them, because they may send the model back.
"""

from __future__ import annotations

from actors.session import history
from actors.session.effects import ChildId, HooksAnswered, RunHooks
from actors.session.state import Call
from actors.session.step import Step
from messages.session import Approval, Warned

SENT_BACK_MAX = 20
"""A program that never lets a turn end is overruled: it would cost money for ever."""


def ask_whether_to_stop(step: Step) -> bool:
    """Ask, unless that has been done; True while the answer is awaited."""
    turn = step.turn
    if turn.stop_hooks is not None:
        return True
    if turn.stop_heard or "Stop" not in step.state.offer.hook_events or not turn.last_message:
        return False
    child = ChildId(step.new_id())
    fields = {"stop_hook_active": turn.sent_back > 0, "last_assistant_message": turn.last_message}
    step.put_turn(stop_hooks=child, live=turn.live | {child})
    step.do(RunHooks(child=child, event="Stop", turn_id=turn.id, settings=turn.settings, fields=fields))
    return True


def ask_for_permission(step: Step, call: Call, approval: Approval) -> None:
    """Let programs answer a question that people have just been asked as well."""
    if "PermissionRequest" not in step.state.offer.hook_events:
        return
    turn = step.turn
    child = ChildId(step.new_id())
    step.put_turn(live=turn.live | {child})
    step.do(
        RunHooks(
            child=child,
            event="PermissionRequest",
            turn_id=turn.id,
            settings=turn.settings,
            fields={},
            call=call.call,
            approval_id=approval.id,
        )
    )


def heard_about_stop(step: Step, answer: HooksAnswered) -> None:
    """They have said whether the turn may end."""
    turn = step.state.turn
    if turn is None or turn.stop_hooks != answer.child or turn.closing is not None:
        return
    step.put_turn(stop_hooks=None, stop_heard=True)
    reason = answer.verdict.blocked
    if not reason:
        return
    if turn.sent_back >= SENT_BACK_MAX:
        step.show(Warned(message=f"A Stop hook sent the model back {SENT_BACK_MAX} times; the turn ends all the same."))
        return
    text = f'<hook_prompt hook_run_id="{answer.verdict.run_id}">{reason}</hook_prompt>'
    step.remember(turn.id, history.text_item(text))
    step.put_turn(stop_heard=False, sent_back=turn.sent_back + 1, follow_up=True)


def down(step: Step, child: ChildId) -> None:
    """Programs that broke down object to nothing."""
    if step.turn.stop_hooks == child:
        step.put_turn(stop_hooks=None, stop_heard=True)
