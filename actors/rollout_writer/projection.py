"""What a rollout means: its records folded into a thread.

Rules
1. A record counts with its newline only; the fold sees whole lines.
2. An item is two records side by side, `ResponseItem` with an item id and then its `ItemShown` (or `TerminalPassed`).
   Neither counts without the other. Where a response_item names no item (calls, context, files recorded elsewhere)
   each record counts by itself.
3. The history is arranged by `transcript.Transcript`: valid for every provider after every record (the prefix law).
4. Loading projects, it never edits the file. What a crash left open is described (`OpenTurn`), and `recovery` decides.
5. Nothing a line can hold makes the fold fail: what is damaged or unknown is counted, and the rest loads.

Source of the rules: DESIGN §5; what other readers of the format bear: docs/rollouts.md.

Rejected: validating the whole file before believing any of it (one bad sector would cost the conversation), and
guessing the turn's end from its content (a final message looks the same whether or not the turn was closed).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from actors.rollout_writer.forms import HistoryBase
from actors.rollout_writer.loaded import (
    Counts,
    LoadedSpawn,
    LoadedThread,
    OpenCall,
    OpenItem,
    OpenNested,
    OpenScript,
    OpenTurn,
    preview_of,
)
from actors.rollout_writer.parsing import UNKNOWN_ORIGIN, Line, Skipped, decode, parse_time
from actors.rollout_writer.transcript import (
    Transcript,
    is_call,
    is_output,
    missing_text,
)
from actors.tool_worker.permissions import with_grant
from messages.base import CallId, ThreadId, TurnId
from messages.client.item import ThreadItem, UserMessage
from messages.failure import Failure
from messages.items import HistoryItem, Origin
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    CallSpawned,
    Compacted,
    ItemShown,
    MessageQuarantined,
    Record,
    ResponseItem,
    ScriptRecorded,
    ScriptWritten,
    SessionMeta,
    SpawnEnded,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolDenied,
    ToolStarted,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.permissions import PermissionGrant
from messages.script import CallEnded, CallStarted, ScriptEvent
from messages.session import USUAL_BUDGET, ThreadSettings, Turn, TurnStatus

NO_ID = ThreadId("")

WARNINGS_KEPT = 20
"""Told one by one; a file with more is damaged all over, and the counts say how much."""


class _TurnFold:
    __slots__ = (
        *("budget", "calls_started", "completed_at", "failure", "grants", "id", "items", "output_schema"),
        *("started_at", "status", "submission_id"),
    )

    def __init__(self, id_: TurnId, submission_id: str, started_at: float) -> None:
        self.id = id_
        self.submission_id = submission_id
        self.started_at = started_at
        self.status: TurnStatus = "inProgress"
        self.completed_at: float | None = None
        self.failure: Failure | None = None
        self.items: dict[str, ThreadItem] = {}
        self.calls_started = 0
        self.grants: list[PermissionGrant] = []
        """What people granted in it, for itself or for longer."""
        self.budget = USUAL_BUDGET
        self.output_schema: dict[str, Any] | None = None

    def turn(self) -> Turn:
        return Turn(
            id=self.id,
            status=self.status,
            started_at=self.started_at,
            completed_at=self.completed_at,
            failure=self.failure,
            items=tuple(self.items.values()),
        )


class _ScriptFold:
    __slots__ = ("log", "output", "written")

    def __init__(self, written: ScriptWritten) -> None:
        self.written = written
        self.log: list[ScriptEvent] = []
        self.output: HistoryItem | None = None


class _SpawnNote(msgspec.Struct, frozen=True, kw_only=True):
    spawn: int | None = None


class _Noted(msgspec.Struct, frozen=True, kw_only=True):
    callboard: _SpawnNote = _SpawnNote()


_noted: msgspec.json.Decoder[_Noted] = msgspec.json.Decoder(_Noted)


def spawn_told(item: HistoryItem) -> int | None:
    """The spawned call of which a message tells the model how it ended; None for all others."""
    if item.kind != "message" or b'"spawn":' not in item.raw:
        return None
    try:
        return _noted.decode(item.raw).callboard.spawn
    except msgspec.MsgspecError:
        return None


class Projector:
    """Folds lines; `loaded` may be called after any of them."""

    def __init__(self, thread_id: ThreadId = NO_ID) -> None:
        """``thread_id``: from the file's name, for a file whose first line is lost."""
        self.base: HistoryBase | None = None
        """Set when the file is a fork without a copy: what of another file comes first."""
        self._thread_id = thread_id
        self._meta: SessionMeta | None = None
        self._settings: ThreadSettings | None = None
        self._transcript = Transcript(missing=self._missing_text)
        self._turns: dict[TurnId, _TurnFold] = {}
        self._open: _TurnFold | None = None
        self._held: ResponseItem | None = None
        self._scripts: dict[CallId, _ScriptFold] = {}
        """Of the last response, by the id of the call that each is: its item's."""
        self._spawns: dict[int, LoadedSpawn] = {}
        """By their tasks; those of which the model has not been told."""
        self._last_task = 0
        self._response_id: str | None = None
        self._started: dict[CallId, ToolStarted] = {}
        self._asked: dict[CallId, ApprovalAsked] = {}
        self._answers: dict[CallId, ApprovalAnswered] = {}
        self._approvals: dict[str, ApprovalAsked] = {}
        self._open_items: dict[str, OpenItem] = {}
        self._submissions: dict[str, TurnId] = {}
        self._steered: dict[str, UserMessage] = {}
        """Taken into the open turn and not shown yet, by item."""
        self._unheard: set[str] = set()
        """Of these, those that the user's programs have to hear first."""
        self._withheld: set[str] = set()
        """Messages that the model must not be sent."""
        self._usage = TokenUsage()
        self._last_usage = TokenUsage()
        self._name: str | None = None
        self._preview = ""
        self._quarantined: list[MessageQuarantined] = []
        self._ordinal: int | None = None
        self._first_stamp = ""
        self._stamp = ""
        self._lines = 0
        self._records = 0
        self._unknown = 0
        self._unreadable = 0
        self._half_items = 0
        self._gaps = 0
        self._inherited = False
        self._warnings: list[str] = []

    # --- taking in ----------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> None:
        """One whole line, with or without its newline."""
        self.add(decode(line))

    def add(self, line: Line | Skipped) -> None:
        """One decoded line."""
        self._lines += 1
        ordinal = line.ordinal
        if ordinal is not None:
            if self._ordinal is not None and ordinal != self._ordinal + 1:
                self._gaps += 1
                self._warn(f"line {self._lines}: ordinal {ordinal} follows {self._ordinal}")
            self._ordinal = ordinal
        if isinstance(line, Skipped):
            # What stands between an item's two records separates them as surely as the end of the file.
            self._drop_held()
            if line.reason == "unreadable":
                self._unreadable += 1
                self._warn(f"line {self._lines} is damaged and left out: {line.detail}")
            else:
                self._unknown += 1
            return
        self._stamp = line.timestamp
        if not self._first_stamp:
            self._first_stamp = line.timestamp
        if line.base is not None and self._meta is None:
            self.base = line.base
        self._take(line.record, paired=line.paired)

    def end_base(self) -> None:
        """What was fed so far belongs to the file that this one forks from: its own file begins now."""
        self._drop_held()
        self._close_open("interrupted", None)
        self._open_items.clear()
        self._approvals.clear()
        self._meta = None
        self._ordinal = None
        self._lines = self._records = 0
        self._inherited = True

    def suppose(self, records: Iterable[Record]) -> None:
        """Fold records that are in no file (yet), as if they had been appended: to show what recovery would make."""
        self._drop_held()
        for record in records:
            self._take(record, paired=self._held is not None)

    def _take(self, record: Record, *, paired: bool) -> None:
        held, self._held = self._held, None
        if held is not None:
            if paired and isinstance(record, (ItemShown, TerminalPassed)) and record.item.id == held.item_id:
                self._records += 2
                self._add_history(held)
                self._fold(record)
                return
            self._half_item(held.item_id)
        if paired:
            self._half_item(record.item.id if isinstance(record, (ItemShown, TerminalPassed)) else None)
        elif isinstance(record, ResponseItem) and record.item_id is not None:
            self._held = record
        else:
            self._records += 1
            self._fold(record)

    def _drop_held(self) -> None:
        if self._held is not None:
            self._half_item(self._held.item_id)
            self._held = None

    def _half_item(self, item_id: str | None) -> None:
        self._half_items += 1
        self._warn(f"line {self._lines}: one of the two records of item {item_id!r} is missing; it does not count")

    def _warn(self, text: str) -> None:
        if len(self._warnings) < WARNINGS_KEPT:
            self._warnings.append(text)

    # --- folding ------------------------------------------------------------------------------------------------

    def _fold(self, record: Record) -> None:
        match record:
            case ResponseItem():
                self._add_history(record)
            case ItemShown():
                self._show(record.turn_id, record.item)
                if record.partial and isinstance(record.item, UserMessage):
                    self._withheld.add(record.item.id)
            case ScriptWritten():
                self._scripts[record.call_id] = _ScriptFold(record)
                self._count_submission(self._turn(record.turn_id))  # a person's: there is no message of theirs
            case ScriptRecorded(call_id=call_id, event=event):
                if call_id in self._scripts:
                    self._scripts[call_id].log.append(event)
                if isinstance(event, CallEnded):
                    self._started.pop(CallId(f"{call_id}:{event.number}"), None)
            case ToolStarted() if record.call_id in self._started:
                pass  # a second run, after a `ToolDenied`: it has been started all along
            case CallSpawned():
                self._spawns[record.task] = LoadedSpawn(spawned=record)
                self._last_task = max(self._last_task, record.task)
            case SpawnEnded(task=task):
                if task in self._spawns:
                    self._spawns[task] = msgspec.structs.replace(self._spawns[task], ended=record)
            case ToolStarted():
                self._started[record.call_id] = record
                if record.place is not None and record.place.script in self._scripts:
                    self._scripts[record.place.script].log.append(CallStarted(number=record.place.number))
                turn = self._turn(record.turn_id)
                turn.calls_started += 1
                self._open_item(turn, record.item)
            case ToolDenied():
                pass
            case ApprovalAsked():
                self._asked[record.approval.call_id] = record
                self._answers.pop(record.approval.call_id, None)
                self._approvals[record.approval.id] = record
                self._open_item(self._turn(record.approval.turn_id), record.item)
            case ApprovalAnswered():
                asked = self._approvals.pop(record.approval_id, None)
                if asked is not None:
                    self._answers[asked.approval.call_id] = record
                    if record.granted is not None:
                        self._turn(asked.approval.turn_id).grants.append(record.granted)
            case TerminalPassed():
                turn = self._turn(record.turn_id)
                turn.items[record.item.id] = record.item
                self._open_items[record.item.id] = OpenItem(turn_id=turn.id, item=record.item, terminal=record.terminal)
            case TextCheckpoint():
                turn = self._turn(record.turn_id)
                turn.items[record.item.id] = record.item
                self._open_items[record.item.id] = OpenItem(turn_id=turn.id, item=record.item, checkpoint=True)
            case TurnOpened():
                self._open_turn(record)
            case TurnClosed():
                turn = self._turn(record.turn_id)
                if turn is self._open:
                    self._close_open(record.status, record.completed_at)
                else:
                    turn.status, turn.completed_at = record.status, record.completed_at
                turn.failure = record.failure
            case TurnContext():
                self._settings = self._merged(record.settings)
            case SessionMeta():
                if self._meta is None:
                    self._meta = record
                    if self._settings is None or not self._inherited:
                        self._settings = record.settings
            case Compacted():
                self._transcript.replace(map(self._sourced, record.history))
            case SteerAccepted():
                self._submissions[record.submission_id] = record.turn_id
                if record.item is not None:
                    self._steered[record.item.id] = record.item
                    if record.unheard:
                        self._unheard.add(record.item.id)
            case UsageRecorded():
                self._usage, self._last_usage = record.total, record.last
            case ThreadNamed():
                self._name = record.name
            case MessageQuarantined():
                self._quarantined.append(record)
            case _:
                assert_never(record)

    def _add_history(self, record: ResponseItem) -> None:
        item = self._sourced(record.item)
        if record.response_id is not None and record.response_id != self._response_id:
            self._response_id = record.response_id
            self._scripts.clear()  # of the response before, whose turn has gone on
        script = None if record.item_id is None else self._scripts.get(CallId(record.item_id))
        if script is not None:
            script.output = item
        if self._spawns and (task := spawn_told(item)) is not None:
            self._spawns.pop(task, None)
        if not self._transcript.add(item, record.response_id):
            self._warn(f"line {self._lines}: {item.kind} {item.call_id!r} has no place in the history and is left out")
            return
        if is_call(item) and item.call_id is not None:
            # A call id that some provider uses again names a new call from here on.
            self._started.pop(item.call_id, None)
            self._asked.pop(item.call_id, None)
            self._answers.pop(item.call_id, None)
        elif is_output(item) and item.call_id is not None:
            self._started.pop(item.call_id, None)

    def _sourced(self, item: HistoryItem) -> HistoryItem:
        if item.origin is not UNKNOWN_ORIGIN:
            return item
        settings = self._settings
        model, provider = (settings.model, settings.provider) if settings is not None else ("", "")
        return msgspec.structs.replace(item, origin=Origin(provider=provider, model=model, wire="responses"))

    def _merged(self, settings: ThreadSettings) -> ThreadSettings:
        """What a turn context leaves out stays as it was: a client's tools, which only the first record has, and of one
        recorded elsewhere the provider."""
        if self._settings is not None and self._settings.dynamic_tools:
            settings = msgspec.structs.replace(settings, dynamic_tools=self._settings.dynamic_tools)
        if settings.provider or self._settings is None:
            return settings
        return msgspec.structs.replace(
            settings,
            provider=self._settings.provider,
            model=settings.model or self._settings.model,
            cwd=settings.cwd or self._settings.cwd,
            base_instructions=self._settings.base_instructions,
        )

    def _missing_text(self, call_id: CallId) -> str:
        answer = self._answers.get(call_id)
        return missing_text(
            started=call_id in self._started,
            declined=answer is not None and answer.decision in ("decline", "cancel"),
        )

    def _turn(self, turn_id: TurnId) -> _TurnFold:
        """The turn of a record; one that names none means the latest, one that nobody opened begins here."""
        if not turn_id and self._turns:
            return self._open or next(reversed(self._turns.values()))
        turn = self._turns.get(turn_id)
        if turn is None:
            turn = _TurnFold(turn_id or TurnId(f"turn-{self._lines}"), "", parse_time(self._stamp) or 0.0)
            turn.status = "interrupted"
            self._turns[turn.id] = turn
        return turn

    def _open_turn(self, record: TurnOpened) -> None:
        self._close_open("interrupted", None)
        turn_id = record.turn_id or TurnId(f"turn-{self._lines}")
        self._open = _TurnFold(turn_id, record.submission_id, record.started_at)
        self._open.budget, self._open.output_schema = record.budget, record.output_schema
        self._turns[turn_id] = self._open

    def _close_open(self, status: TurnStatus, at: float | None) -> None:
        turn, self._open = self._open, None
        self._steered.clear()
        self._unheard.clear()
        self._scripts.clear()
        if turn is not None:
            self._transcript.settle()
            turn.status, turn.completed_at = status, at
            for approval_id in [id_ for id_, asked in self._approvals.items() if asked.approval.turn_id == turn.id]:
                del self._approvals[approval_id]

    def _open_item(self, turn: _TurnFold, item: ThreadItem | None) -> None:
        if item is not None:
            turn.items[item.id] = item
            self._open_items[item.id] = OpenItem(turn_id=turn.id, item=item)

    def _show(self, turn_id: TurnId, item: ThreadItem) -> None:
        self._open_items.pop(item.id, None)
        self._steered.pop(item.id, None)
        turn = self._turn(turn_id)
        turn.items[item.id] = item
        if isinstance(item, UserMessage):
            self._count_submission(turn)
            if not self._preview:
                self._preview = preview_of(item)

    def _count_submission(self, turn: _TurnFold) -> None:
        """Not before: where the turn's first append was torn, its input is lost, and sent again it must count."""
        if turn.submission_id:
            self._submissions.setdefault(turn.submission_id, turn.id)

    # --- handing out --------------------------------------------------------------------------------------------

    @property
    def records(self) -> int:
        """How many the file has had so far."""
        return self._records

    def loaded(self, torn_bytes: int = 0) -> LoadedThread:
        """The thread as of the lines fed so far."""
        meta = self._meta or SessionMeta(
            thread_id=self._thread_id,
            created_at=parse_time(self._first_stamp) or 0.0,
            cwd="",
            source="unknown",
            originator="",
            cli_version="",
            settings=self._settings or ThreadSettings(provider="", model="", cwd=""),
        )
        settings = self._settings or meta.settings
        return LoadedThread(
            meta=meta,
            settings=settings,
            history=self._transcript.items(),
            transcript=self._transcript.state(),
            turns=tuple(turn.turn() for turn in self._turns.values()),
            usage=self._usage,
            last_usage=self._last_usage,
            name=self._name,
            preview=self._preview,
            open_turn=self._open_state(settings),
            open_items=tuple(self._open_items.values()),
            spawns=tuple(self._spawns.values()),
            last_task=self._last_task,
            submissions=dict(self._submissions),
            withheld=frozenset(self._withheld),
            quarantined=tuple(self._quarantined),
            next_ordinal=self._lines if self._ordinal is None else self._ordinal + 1,
            updated_at=parse_time(self._stamp) or meta.created_at,
            counts=Counts(
                lines=self._lines,
                records=self._records,
                unknown=self._unknown,
                unreadable=self._unreadable,
                half_items=self._half_items + (self._held is not None),
                gaps=self._gaps,
                torn_bytes=torn_bytes,
            ),
            warnings=tuple(self._warnings),
        )

    def _open_state(self, settings: ThreadSettings) -> OpenTurn | None:
        turn = self._open
        if turn is None:
            return None
        unanswered = {call.call_id for call in self._transcript.unanswered()}
        calls = tuple(
            OpenCall(
                call=call,
                answered=call_id not in unanswered,
                started=self._started.get(call_id),
                asked=self._asked.get(call_id),
                decision=self._answers.get(call_id),
            )
            for call in self._transcript.last_calls()
            if (call_id := call.call_id) is not None
        )
        approvals = tuple(asked for asked in self._approvals.values() if asked.approval.turn_id == turn.id)
        return OpenTurn(
            turn_id=turn.id,
            submission_id=turn.submission_id,
            started_at=turn.started_at,
            settings=functools.reduce(with_grant, turn.grants, settings),
            calls=calls,
            approvals=approvals,
            scripts=tuple(self._open_script(script) for script in self._scripts.values()),
            calls_started=turn.calls_started,
            unentered=tuple(self._steered.values()),
            unheard=frozenset(self._unheard & self._steered.keys()),
            budget=turn.budget,
            output_schema=turn.output_schema,
        )

    def _open_script(self, fold: _ScriptFold) -> OpenScript:
        call_id = fold.written.call_id
        ended = {event.number for event in fold.log if isinstance(event, CallEnded)}
        questions = [
            asked
            for nested_id, asked in self._asked.items()
            if (place := asked.approval.place) is not None
            and place.script == call_id
            and place.number not in ended
            and nested_id not in self._started
        ]
        return OpenScript(
            written=fold.written,
            started=self._started.get(call_id),
            log=tuple(fold.log),
            output=fold.output,
            calls=tuple(
                OpenNested(asked=asked, decision=self._answers.get(asked.approval.call_id)) for asked in questions
            ),
        )


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines, and what is left after the last newline."""
    lines = data.split(b"\n")
    rest = lines.pop()
    return lines, rest


def project(data: bytes, thread_id: ThreadId = NO_ID) -> LoadedThread:
    """A whole file's bytes, or any prefix of them, as a thread."""
    projector = Projector(thread_id)
    lines, rest = split_lines(data)
    for line in lines:
        projector.feed(line)
    return projector.loaded(len(rest))
