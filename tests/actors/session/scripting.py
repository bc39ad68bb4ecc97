"""The world with scripts: models write them, and they ask for calls, print, lose interest and end as they like.

Its laws come on top of the session's: each call of a script has exactly one outcome in the log; the script is told of
each end it may rely on, after the log has it; nothing of a script runs when its end is told; what the model is told
names every call.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from actors.sandbox_pool.pool import DEFAULT_LIMITS
from actors.sandbox_pool.worker import shown
from actors.session.effects import (
    AbandonScript,
    Append,
    ApprovalDue,
    Cancel,
    ChildId,
    Effect,
    RunTool,
    SetExpiry,
    StartTool,
    TellScript,
)
from actors.session.state import Offer, ScriptOffer
from messages.base import CallId
from messages.items import HistoryItem
from messages.log import ItemShown, ResponseItem, ScriptRecorded, ScriptWritten, ToolStarted
from messages.model import ToolSpec
from messages.script import (
    CallEnded,
    CallRequested,
    CallResult,
    NestedSettled,
    NestedUnwanted,
    NestedWanted,
    ScriptChoice,
    ScriptJob,
    ScriptMode,
    ScriptPrinted,
    ScriptPumped,
    ScriptStarted,
    ScriptTold,
    Settled,
)
from messages.tools import ToolCall, ToolFinished, ToolPrepared
from tests.actors.session.made import message, new_state
from tests.actors.session.world import WINDOW, Model, Move, World

SOURCE = "return await tools.run({});"
CALLS_MAX = 5


def offer(mode: ScriptMode = "enabled") -> Offer:
    """One tool, and scripts that may call it."""
    return Offer(
        tools=(ToolSpec(name="run", description="Runs."),),
        context_window=WINDOW,
        gathers=True,
        scripts=ScriptOffer(choice=ScriptChoice(mode=mode), limits=DEFAULT_LIMITS, approval_seconds=600.0),
    )


def scripted(text: str = "look:", *sources: str) -> HistoryItem:
    """A message with scripts in it."""
    blocks = "".join(f"\n<tool-calls>\n{source}\n</tool-calls>\n" for source in sources or (SOURCE,))
    return message(text + blocks)


class ScriptTask:
    """One script, as whoever runs it knows it."""

    def __init__(self, call: ToolCall, job: ScriptJob) -> None:
        self.call = call
        self.item = shown(call, job)
        self.prepared = False
        self.may_run = False
        self.finished = False
        self.cancelled = False
        self.abandoned = False
        self.asked = 0
        self.open: set[int] = set()
        self.settled: dict[int, CallResult] = {}


class ScriptedWorld(World):
    """See the module's docstring."""

    def __init__(self, mode: ScriptMode = "enabled") -> None:
        super().__init__(replace(new_state(), offer=offer(mode)))
        self.scripts: dict[ChildId, ScriptTask] = {}
        self.expiries: dict[str, float] = {}
        self.ended_calls: dict[tuple[CallId, int], CallResult] = {}
        self.written: dict[CallId, str] = {}
        self.told: set[CallId] = set()

    # --- what the core does ---

    def _do(self, effect: Effect) -> None:
        match effect:
            case Append():
                self._look_at(effect)
            case StartTool(script=job) if job is not None:
                self.scripts[effect.child] = ScriptTask(effect.call, job)
            case RunTool() if effect.child in self.scripts:
                self.scripts[effect.child].may_run = True
            case Cancel() if effect.child in self.scripts:
                self.scripts[effect.child].cancelled = True
            case AbandonScript() if effect.child in self.scripts:
                self.scripts[effect.child].abandoned = True
            case TellScript(order=NestedSettled(number=number, result=result)):
                task = self.scripts.get(effect.child)
                logged = self.ended_calls[CallId(effect.child), number]
                assert logged == result, "in the log before the script is told, and the same"
                if task is not None:
                    assert number not in task.settled, "told once"
                    task.settled[number] = result
                    task.open.discard(number)
            case SetExpiry():
                if effect.at is None:
                    self.expiries.pop(effect.approval_id, None)
                else:
                    self.expiries[effect.approval_id] = effect.at
            case _:
                super()._do(effect)

    def _look_at(self, effect: Append) -> None:
        for record, behind in zip(effect.records, (*effect.records[1:], None), strict=True):
            match record:
                case ScriptWritten():
                    self.written[record.call_id] = record.source
                case ScriptRecorded(event=CallEnded() as event):
                    key = record.call_id, event.number
                    assert key not in self.ended_calls, "one outcome"
                    self.ended_calls[key] = event.result
                case ToolStarted(place=place) if place is not None:
                    assert (place.script, place.number) not in self.ended_calls, "nothing starts after its end"
                case ResponseItem() if isinstance(behind, ItemShown) and CallId(behind.item.id) in self.written:
                    self._script_ended(CallId(behind.item.id), record.item.raw.decode())

    def _script_ended(self, call_id: CallId, text: str) -> None:
        assert call_id not in self.told, "told once"
        self.told.add(call_id)
        turn = self.state.turn
        for call in () if turn is None else turn.calls:
            assert call.call.place is None or call.call.place.script != call_id, "nothing of it is left"
        task = self.scripts.get(ChildId(call_id))
        if task is not None and not task.finished:
            assert all(f"#{number} run" in text for number in range(1, task.asked + 1)), "it names every call"

    # --- what scripts do ---

    def _child_moves(self) -> list[Move]:
        moves = super()._child_moves()
        for child, task in list(self.scripts.items()):
            moves += self._script_moves(child, task)
        moves += [
            (f"{question} expires", partial(self.hear, ApprovalDue(approval_id=question))) for question in self.expiries
        ]
        return moves

    def _model_moves(self, child: ChildId, model: Model) -> list[Move]:
        moves = super()._model_moves(child, model)
        if not model.said_end:
            for name, make in (
                ("a script", scripted),
                ("two scripts", partial(scripted, "both:", SOURCE, SOURCE)),
                ("half a script", partial(message, "\n<tool-calls>\nreturn 1")),
            ):
                moves += [(f"{child} says {name}", partial(self.say, model, make))] * 3
        return moves

    def _script_moves(self, child: ChildId, task: ScriptTask) -> list[Move]:
        crash = None if task.cancelled or task.finished else "KeyError"
        moves: list[Move] = [(f"{child} down", lambda: self.down(child, crash))]
        if task.finished:
            return moves
        if not task.prepared:
            moves.append((f"{child} prepares", partial(self.prepare_script, task)))
        if task.may_run:
            if task.asked < CALLS_MAX:
                moves += [(f"{child} calls", partial(self.call_tool, task))] * 4
            moves += [
                (f"{child} loses interest in {number}", partial(self.lose_interest, task, number))
                for number in task.open
            ]
            moves.append((f"{child} prints", partial(self.print_line, task)))
            if not task.open:
                moves += [(f"{child} returns", partial(self.finish_script, task))] * 2
        return moves

    def prepare_script(self, task: ScriptTask) -> None:
        task.prepared = True
        self.hear(ToolPrepared(call_id=task.call.call_id, item=task.item, parallel_safe=False, side_effects=False))
        self.tell(task, ScriptStarted(source_hash="h", seed=1, clock_ms=1))

    def tell(self, task: ScriptTask, event: CallRequested | ScriptPrinted | ScriptStarted | ScriptPumped) -> None:
        self.hear(ScriptTold(call_id=task.call.call_id, event=event))

    def call_tool(self, task: ScriptTask) -> None:
        number = task.asked = task.asked + 1
        task.open.add(number)
        self.tell(task, CallRequested(number=number, name="run", arguments="{}", line=number, column=1))
        self.hear(
            NestedWanted(call_id=task.call.call_id, number=number, tool="run", arguments="{}", line=number, column=1)
        )

    def lose_interest(self, task: ScriptTask, number: int) -> None:
        self.hear(NestedUnwanted(call_id=task.call.call_id, number=number))

    def print_line(self, task: ScriptTask) -> None:
        pumped = tuple(Settled(kind="call", number=number) for number in sorted(task.settled))
        self.tell(task, ScriptPumped(clock_ms=1, settled=pumped, spent_seconds=0.1))
        self.tell(task, ScriptPrinted(level="log", text="here"))

    def finish_script(self, task: ScriptTask) -> None:
        task.finished = True
        self.hear(
            ToolFinished(
                call_id=task.call.call_id,
                outcome="done",
                output="<tool-calls-result>",
                item=replace(task.item, status="completed"),
            )
        )

    def _junk_moves(self) -> list[Move]:
        """But for a script's end, which only its own task can tell."""
        ends = tuple(f"junk ToolFinished(call_id='{call_id}'" for call_id in self.written)
        return [move for move in super()._junk_moves() if not move[0].startswith(ends)]

    def living(self) -> list[ChildId]:
        return [*super().living(), *self.scripts]

    def down(self, child: ChildId, crash: str | None) -> None:
        self.scripts.pop(child, None)
        super().down(child, crash)

    def close(self) -> None:
        super().close()
        assert set(self.written) == self.told, "every script came to an end that the model is told"
