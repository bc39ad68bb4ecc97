"""The user's programs around a compaction: `PreCompact` may stop it, `PostCompact` is told of it.

Both wait in the turn's way: nothing is sampled meanwhile. A compaction that a person asked for fails when it is
stopped; one that was due leaves the history as it is, and is not tried again in this turn: whether the model still
takes it is for the provider to judge. What `SessionStart` programs had told the model is in the summary at best, so
they are asked again, with the source ``compact``.
"""

from __future__ import annotations

from typing import Any, Literal

from actors.session import closing, compaction, history
from actors.session.effects import ChildId, HooksAnswered, RunHooks
from actors.session.state import Closing, CompactHooks
from actors.session.step import Step
from messages.failure import Failure
from messages.hooks import HookEvent, Verdict
from messages.session import Warned


def start(step: Step) -> None:
    """Compact, unless a program objects. Where there is nothing to compact nobody is asked."""
    if step.state.history and "PreCompact" in step.state.offer.hook_events:
        _ask(step, "before", {"PreCompact": {"trigger": _trigger(step)}})
    else:
        compaction.start(step)


def compacted(step: Step, summary: str) -> None:
    """It has been done."""
    events: dict[HookEvent, dict[str, Any]] = {
        "PostCompact": {"trigger": _trigger(step), "compact_summary": summary},
        "SessionStart": {"source": "compact"},
    }
    wanted = {event: fields for event, fields in events.items() if event in step.state.offer.hook_events}
    if wanted:
        _ask(step, "after", wanted)


def heard(step: Step, answer: HooksAnswered) -> bool:
    """They have spoken. False: it was about something else."""
    turn = step.state.turn
    if turn is None or turn.compact_hooks is None or answer.child not in turn.compact_hooks.children:
        return False
    if turn.closing is None:
        _settle(step, turn.compact_hooks, answer.child, answer.verdict)
    return True


def down(step: Step, child: ChildId) -> None:
    """Programs that broke down object to nothing."""
    turn = step.turn
    if turn.compact_hooks is not None and child in turn.compact_hooks.children and turn.closing is None:
        _settle(step, turn.compact_hooks, child, Verdict())


def _settle(step: Step, hooks: CompactHooks, child: ChildId, verdict: Verdict) -> None:
    children = hooks.children - {child}
    step.put_turn(compact_hooks=CompactHooks(when=hooks.when, children=children) if children else None)
    if hooks.when == "after":
        for text in verdict.context:
            step.remember(step.turn.id, history.text_item(text, role="developer"))
    elif verdict.blocked is None:
        compaction.start(step)
    else:
        _stop(step, verdict.blocked)


def _stop(step: Step, why: str) -> None:
    text = "A PreCompact hook stopped the compaction; the conversation stays as it is." + (f" {why}" if why else "")
    if _trigger(step) == "manual":
        closing.begin(step, Closing(status="failed", failure=Failure(kind="refused", message=text)))
    else:
        step.show(Warned(message=text))
        step.put_turn(uncompactable=True)


def _ask(step: Step, when: Literal["before", "after"], events: dict[HookEvent, dict[str, Any]]) -> None:
    turn = step.turn
    runs = tuple(
        RunHooks(child=ChildId(step.new_id()), event=event, turn_id=turn.id, settings=turn.settings, fields=fields)
        for event, fields in events.items()
    )
    children = frozenset(run.child for run in runs)
    step.put_turn(compact_hooks=CompactHooks(when=when, children=children), live=turn.live | children)
    step.do(*runs)


def _trigger(step: Step) -> Literal["manual", "auto"]:
    """A turn that only compacts was asked for."""
    return "auto" if step.turn.steerable else "manual"
