"""The session's laws, checked on every effect as it comes; whatever drives the core, a broken law is an error here."""

from __future__ import annotations

from actors.rollout_writer.transcript import Transcript
from actors.rollout_writer.validity import validate_history
from actors.session.compaction import PROMPT
from actors.session.effects import (
    Append,
    AttachOutput,
    AttachText,
    Cancel,
    Effect,
    GatherContext,
    GiveSubscription,
    GiveView,
    KillTerminal,
    PassTerminal,
    Reply,
    RunHooks,
    RunTool,
    SetDeadline,
    Show,
    StartSampling,
    StartTool,
    Stop,
    Token,
)
from actors.session.history import text_item
from actors.session.state import SessionState, status_of
from messages.approval import CommandGrant, CommandNeed, Grant
from messages.base import TurnId
from messages.client.item import ThreadItem, UserMessage
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    Compacted,
    ItemShown,
    Record,
    ResponseItem,
    SteerAccepted,
    TerminalPassed,
    ToolDenied,
    ToolStarted,
    TurnClosed,
    TurnOpened,
)
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    ItemCompleted,
    ItemStarted,
    SessionEvent,
    StatusChanged,
    ThreadStatus,
    TurnCompleted,
    TurnStarted,
)


class Laws:
    """Everything seen so far, and what must hold of it."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.live: set[str] = set()
        """Children started and not down yet, as whoever runs them knows them."""
        self.terminals: set[int] = set()
        """Commands that go on, passed or not."""
        self.passed: set[int] = set()
        self.started: dict[str, tuple[TurnId, ThreadItem]] = {}
        self.completed: dict[str, ThreadItem] = {}
        self.open_past_turn: set[str] = set()
        self.turn: TurnId | None = None
        self.turns_ended: set[TurnId] = set()
        self.logged: list[Record] = []
        self.ran: list[str] = []
        self.grants: tuple[Grant, ...] = ()
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self.replies: dict[Token, object] = {}
        self.status = ThreadStatus(kind="idle")
        self.stopped = False
        self.unwanted: list[str] = []
        """Prompts that the user's programs do not want to be sent, word for word."""

    def check(self, effects: tuple[Effect, ...], state: SessionState) -> None:
        self.grants = state.grants
        for effect in effects:
            assert not self.stopped, "nothing follows Stop"
            self._effect(effect)
        assert self.status == status_of(state), "clients know the thread's status"
        if state.turn is None:
            assert validate_history(state.history) == []
            assert state.history == self.transcript.items(), "memory and log agree on what was said"

    def _effect(self, effect: Effect) -> None:
        match effect:
            case Append():
                assert effect.records
                self._pairs(effect.records)
                for record in effect.records:
                    self._record(record)
            case Show():
                self._event(effect.event)
            case StartSampling():
                assert self.turn == effect.request.turn_id
                assert validate_history(effect.request.history) == []
                sent = effect.request.history
                for prompt in self.unwanted:
                    assert all(f'"{prompt}"'.encode() not in item.raw for item in sent), "what is withheld stays so"
                if sent[-1] == text_item(PROMPT):
                    whole = self.transcript.items()
                    assert sent[:-1] == whole[len(whole) - len(sent) + 1 :], "what is summed up is what the log has"
                else:
                    assert sent == self.transcript.items(), "the model is sent what the log has"
                self._start(effect.child)
            case StartTool():
                assert self.turn == effect.call.turn_id
                self._start(effect.child)
            case GatherContext() | RunHooks():
                assert self.turn == effect.turn_id
                self._start(effect.child)
            case RunTool():
                starts = [r for r in self.logged if isinstance(r, ToolStarted) and str(r.item_id) == effect.child]
                assert len(starts) > self.ran.count(effect.child), "started in the log before it is started"
                self.ran.append(effect.child)
            case Reply():
                assert effect.token not in self.replies, "one reply each"
                self.replies[effect.token] = effect.value
            case GiveSubscription() | GiveView():
                assert effect.token not in self.replies
                self.replies[effect.token] = effect.view
                shown = {item.id for turn in effect.view.turns for item in turn.items}
                assert shown == set(self.started), "a snapshot holds what was shown, no more and no less"
            case PassTerminal():
                assert self._has(TerminalPassed, terminal=effect.terminal)
                self.passed.add(effect.terminal)
            case AttachText():
                assert effect.item_id is None or effect.item_id in self._open()
            case AttachOutput():
                assert effect.item_id in self._open()
            case Stop():
                self.stopped = True
            case Cancel() | KillTerminal() | SetDeadline():
                pass

    def _start(self, child: str) -> None:
        assert child not in self.live
        self.live.add(child)

    def _open(self) -> set[str]:
        return set(self.started) - set(self.completed)

    def _has(self, kind: type, **fields: object) -> bool:
        return any(
            isinstance(record, kind) and all(getattr(record, name) == value for name, value in fields.items())
            for record in self.logged
        )

    def _pairs(self, records: tuple[Record, ...]) -> None:
        for record, following in zip(records, (*records[1:], None), strict=True):
            if isinstance(record, ResponseItem) and record.item_id is not None:
                assert isinstance(following, ItemShown | TerminalPassed)
                assert following.item.id == record.item_id, "an item is two records side by side"

    def _record(self, record: Record) -> None:
        self.logged.append(record)
        if isinstance(record, ResponseItem):
            assert self.transcript.add(record.item, record.response_id), f"{record.item} has no place"
        elif isinstance(record, Compacted):
            self.transcript.replace(record.history)
        elif isinstance(record, TurnClosed):
            self.transcript.settle()
        elif isinstance(record, ApprovalAsked):
            assert record.approval.id not in self.asked
            self.asked.add(record.approval.id)
        elif isinstance(record, ApprovalAnswered):
            assert record.approval_id in self.asked
            assert record.approval_id not in self.answered, "exactly one resolution"
            self.answered.add(record.approval_id)
        elif isinstance(record, ToolStarted):
            others = [each for each in self.logged[:-1] if isinstance(each, ToolStarted)]
            if record.item_id in {each.item_id for each in others}:
                self._second_run(record)

    def _second_run(self, record: ToolStarted) -> None:
        """A call is started at most once, and once more where its sandbox denied it something and people said yes."""
        own = [each for each in self.logged if getattr(each, "call_id", None) == record.call_id]
        own = own[[index for index, each in enumerate(own) if isinstance(each, ToolStarted)][-2] :]
        assert [type(each) for each in own] == [ToolStarted, ToolDenied, ToolStarted]
        asked = [each.approval for each in self.logged if isinstance(each, ApprovalAsked)]
        asked = [each for each in asked if isinstance(each.need, CommandNeed) and each.need.denied]
        of_call = {each.id for each in asked if each.call_id == record.call_id}
        answers = [each for each in self.logged if isinstance(each, ApprovalAnswered) and each.approval_id in of_call]
        if answers:
            assert [each.decision for each in answers if each.decision in ("accept", "acceptForSession")]
        else:
            assert any(isinstance(each, CommandGrant) and each.escalated for each in self.grants)

    def _event(self, event: SessionEvent) -> None:
        match event:
            case TurnStarted():
                assert self.turn is None, "turns never overlap"
                assert event.turn.id not in self.turns_ended
                assert self._has(TurnOpened, turn_id=event.turn.id)
                self.turn = event.turn.id
            case TurnCompleted():
                assert self.turn == event.turn.id, "each turn ends exactly once"
                assert not self.live, "when it said it stopped, it stopped"
                assert self.terminals <= self.passed, "no process of an unanswered call is left"
                assert self._has(TurnClosed, turn_id=event.turn.id, status=event.turn.status)
                left = {item for item in self._open() if self.started[item][0] == event.turn.id}
                own = {r.item.id for r in self.logged if isinstance(r, TerminalPassed) and r.terminal in self.passed}
                assert left <= own, "only what passed to the thread stays open"
                assert self.asked == self.answered
                self.turn = None
                self.turns_ended.add(event.turn.id)
            case ItemStarted():
                assert event.turn_id == self.turn, "nothing of a turn starts after its end"
                assert event.item.id not in self.started
                self.started[event.item.id] = (event.turn_id, event.item)
            case ItemCompleted():
                turn_id, begun = self.started[event.item.id]
                assert turn_id == event.turn_id
                assert event.item.id not in self.completed, "completed once"
                assert type(begun) is type(event.item)
                assert self._has(ItemShown, item=event.item), "append, then show"
                self.completed[event.item.id] = event.item
            case ApprovalRequested():
                assert event.approval.id in self.asked
            case ApprovalResolved():
                assert event.approval_id in self.answered
            case StatusChanged():
                self.status = event.status
            case _:
                assert getattr(event, "turn_id", self.turn) == self.turn or self.turn is None

    def inputs_taken(self) -> list[str]:
        """The ids of user messages that the log says were accepted, in order."""
        shown = [r.item.id for r in self.logged if isinstance(r, ItemShown) and isinstance(r.item, UserMessage)]
        for record in self.logged:
            if isinstance(record, SteerAccepted) and record.item is not None and record.item.content:
                assert shown.count(record.item.id) == 1, "input that was accepted enters, once"
        return shown
