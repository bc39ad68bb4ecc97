"""Made-up conversations, as a session would log them: the raw material of the property tests.

`conversation` plays turns with tools, approvals, declines, steering, interrupts, failures, passed terminals and
compaction, and returns the appends a session would have sent, in order.
"""

from __future__ import annotations

import random

import msgspec

from actors.rollout_writer.lines import encode
from messages.approval import ApprovalDecision, CommandNeed
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client.item import (
    AgentMessage,
    CommandExecution,
    ContextCompaction,
    FileChange,
    FileUpdateChange,
    Reasoning,
    TextInput,
    ThreadItem,
    UnknownAction,
    UpdateChange,
    UserMessage,
)
from messages.failure import Failure
from messages.items import (
    CustomToolCall,
    FunctionCall,
    HistoryItem,
    MessageItem,
    Origin,
    OutputText,
    ReasoningItem,
    SummaryText,
)
from messages.items import InputText as InputPart
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    Compacted,
    ItemShown,
    Record,
    ResponseItem,
    SessionMeta,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolStarted,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import USUAL_BUDGET, Approval, ThreadSettings, TurnBudget

THREAD = ThreadId("0193a000-0000-7000-8000-000000000001")
ORIGIN = Origin(provider="rehearsal", model="rehearsal-1", wire="responses")
SETTINGS = ThreadSettings(provider="rehearsal", model="rehearsal-1", cwd="/work dir/ü")
META = SessionMeta(
    thread_id=THREAD,
    created_at=1_763_700_000.125,
    cwd="/work dir/ü",
    source="cli",
    originator="callboard-test",
    cli_version="0.1.0",
    settings=SETTINGS,
    git_branch="main",
)
START = 1_763_700_000.5

_json = msgspec.json.encode


def user_item(text: str) -> HistoryItem:
    return HistoryItem(kind="message", raw=_json(MessageItem(role="user", content=(InputPart(text=text),))))


def said(text: str, id_: str) -> HistoryItem:
    raw = _json(MessageItem(role="assistant", content=(OutputText(text=text),), id=id_))
    return HistoryItem(kind="message", raw=raw, origin=ORIGIN)


def thought(text: str, id_: str) -> HistoryItem:
    raw = _json(ReasoningItem(id=id_, summary=(SummaryText(text=text),), encrypted_content="b64=="))
    return HistoryItem(kind="reasoning", raw=raw, origin=ORIGIN)


def call_item(call_id: str, *, freeform: bool = False) -> HistoryItem:
    id_ = CallId(call_id)
    if freeform:
        raw = _json(CustomToolCall(call_id=id_, name="apply_patch", input="*** Begin Patch", id=f"ctc_{call_id}"))
        return HistoryItem(kind="custom_tool_call", raw=raw, call_id=id_, origin=ORIGIN)
    raw = _json(FunctionCall(call_id=id_, name="exec_command", arguments='{"cmd":"ls"}', id=f"fc_{call_id}"))
    return HistoryItem(kind="function_call", raw=raw, call_id=id_, origin=ORIGIN)


def shown(turn_id: TurnId, item: ThreadItem, at: float = START, *, partial: bool = False) -> ItemShown:
    return ItemShown(turn_id=turn_id, item=item, at_ms=int(at * 1000), partial=partial)


def pair(turn_id: TurnId, item: HistoryItem, screen: ThreadItem, response_id: str | None = None) -> list[Record]:
    record = ResponseItem(turn_id=turn_id, item=item, item_id=ItemId(screen.id), response_id=response_id)
    return [record, shown(turn_id, screen)]


def command(id_: str, status: str = "inProgress", output: str | None = None) -> CommandExecution:
    return CommandExecution(
        id=id_,
        command="/bin/bash -lc 'make test'",
        cwd="/work dir/ü",
        status=status,  # type: ignore[arg-type]  # one of the literals
        command_actions=(UnknownAction(command="make test"),),
        source="unifiedExecStartup",
        aggregated_output=output,
        exit_code=0 if status == "completed" else None,
        duration_ms=1234 if status == "completed" else None,
    )


def patch(id_: str, status: str = "inProgress") -> FileChange:
    changes = (FileUpdateChange(path="/work dir/a.py", kind=UpdateChange(move_path=None), diff="@@\n-a\n+b\n"),)
    return FileChange(id=id_, changes=changes, status=status)  # type: ignore[arg-type]  # one of the literals


class Conversation:
    """One thread's log in the making."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.appends: list[tuple[Record, ...]] = [(META,)]
        self._count = 0
        self._total = 0

    def append(self, *records: Record) -> None:
        self.appends.append(records)

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"

    def user(self, turn: TurnId, text: str) -> list[Record]:
        id_ = self.fresh("user")
        return pair(turn, user_item(text), UserMessage(id=id_, content=(TextInput(text=text),), client_id=None))

    def play_turn(self) -> None:
        rng = self.rng
        turn = TurnId(self.fresh("turn"))
        self.append(
            TurnOpened(
                turn_id=turn,
                submission_id=self.fresh("sub"),
                started_at=START,
                budget=rng.choice([USUAL_BUDGET, TurnBudget(deadline_seconds=9.5, tool_calls=3)]),
                output_schema=rng.choice([None, {"type": "object"}]),
            ),
            TurnContext(turn_id=turn, settings=SETTINGS),
            *([ResponseItem(turn_id=turn, item=user_item("<context/>"))] if rng.random() < 0.3 else []),
            *self.user(turn, rng.choice(["mach's gut \u2028 zeile\nzwei", "fix it", "\U0001f600"])),
        )
        for _ in range(rng.randint(0, 2)):
            self._play_response(turn, calls=rng.randint(1, 3))
            if rng.random() < 0.15:
                self._compact(turn)
        end = rng.choice(["completed", "completed", "failed", "interrupted", "checkpoint"])
        if end == "completed":
            self._play_response(turn, calls=0)
        if end == "checkpoint":
            id_ = self.fresh("msg")
            part = AgentMessage(id=id_, text="half a sent")
            self.append(TextCheckpoint(turn_id=turn, item_id=ItemId(id_), item=part))
            self.append(shown(turn, part, partial=True))
        if rng.random() < 0.8:
            failure = Failure(kind="overloaded", message="the model is overloaded") if end == "failed" else None
            status = "interrupted" if end == "checkpoint" else end
            self.append(
                TurnClosed(
                    turn_id=turn,
                    status=status,  # type: ignore[arg-type]  # one of the literals
                    completed_at=START + 2,
                    failure=failure,
                    last_message="done" if end == "completed" else None,
                )
            )
        else:
            self.append(TurnClosed(turn_id=turn, status="interrupted", completed_at=START + 3))

    def _play_response(self, turn: TurnId, *, calls: int) -> None:
        rng = self.rng
        response = self.fresh("resp")
        records: list[Record] = []
        if rng.random() < 0.5:
            id_ = self.fresh("rs")
            records += pair(turn, thought("hm", id_), Reasoning(id=id_, summary=("hm",)), response)
        if calls == 0 or rng.random() < 0.4:
            id_ = self.fresh("msg")
            records += pair(turn, said("look: \u00e4", id_), AgentMessage(id=id_, text="look: \u00e4"), response)
        made = [(self.fresh("call"), rng.random() < 0.3) for _ in range(calls)]
        records += [
            ResponseItem(turn_id=turn, item=call_item(call_id, freeform=freeform), response_id=response)
            for call_id, freeform in made
        ]
        self._total += 10
        usage = TokenUsage(input=9, output=1, total=10)
        total = TokenUsage(input=self._total, output=self._total // 10, total=self._total)
        records.append(UsageRecorded(turn_id=turn, last=usage, total=total))
        self.append(*records)
        if made:
            self._play_calls(turn, made)

    def _play_calls(self, turn: TurnId, made: list[tuple[str, bool]]) -> None:
        rng = self.rng
        running: list[tuple[str, bool, ThreadItem]] = []
        for call_id, freeform in made:
            item: ThreadItem = patch(f"item_{call_id}") if freeform else command(f"item_{call_id}")
            decision: ApprovalDecision | None = "accept"
            if rng.random() < 0.4:
                decision = rng.choice(["accept", "acceptForSession", "decline", None])
                self._ask(turn, call_id, item, decision)
            if decision in ("decline", None):
                self._answer(turn, call_id, item, "declined", freeform=freeform)
                continue
            self.append(
                ToolStarted(
                    turn_id=turn,
                    call_id=CallId(call_id),
                    item_id=ItemId(item.id),
                    name="exec_command",
                    idempotency_key=f"key-{call_id}",
                    item=item,
                )
            )
            running.append((call_id, freeform, item))
        rng.shuffle(running)
        steers: list[UserMessage] = []
        for call_id, freeform, item in running:
            if rng.random() < 0.2:
                steers.append(self._steer(turn))
            if not freeform and rng.random() < 0.2:
                self._pass(turn, call_id, item)
            else:
                self._answer(turn, call_id, item, rng.choice(["completed", "failed"]), freeform=freeform)
        for message in steers:
            self.append(*pair(turn, user_item("rather that"), message))

    def _steer(self, turn: TurnId) -> UserMessage:
        """Input that is taken now and enters before the next sampling."""
        message = UserMessage(id=self.fresh("user"), content=(TextInput(text="rather that"),))
        accepted = SteerAccepted(turn_id=turn, submission_id=self.fresh("steer"), item=message)
        self.append(accepted)
        return message

    def _ask(self, turn: TurnId, call_id: str, item: ThreadItem, decision: ApprovalDecision | None) -> None:
        id_ = f"approval-{call_id}"
        approval = Approval(
            id=id_,
            turn_id=turn,
            item_id=ItemId(item.id),
            call_id=CallId(call_id),
            need=CommandNeed(argv=("make", "test"), script=None, cwd="/work dir/ü"),
            asked_at=START,
        )
        self.append(ApprovalAsked(approval=approval, item=item))
        self.append(ApprovalAnswered(approval_id=id_, decision=decision, by="client-1"))

    def _answer(self, turn: TurnId, call_id: str, item: ThreadItem, status: str, *, freeform: bool) -> None:
        done = msgspec.structs.replace(item, status=status)
        self.append(*pair(turn, output_item(call_id, f"{status}: öutput", freeform=freeform), done))

    def _pass(self, turn: TurnId, call_id: str, item: ThreadItem) -> None:
        assert isinstance(item, CommandExecution)
        output = ResponseItem(
            turn_id=turn, item=output_item(call_id, "session 7", freeform=False), item_id=ItemId(item.id)
        )
        self.append(output, TerminalPassed(turn_id=turn, call_id=CallId(call_id), terminal=7, item=item))
        if self.rng.random() < 0.5:
            self.append(shown(turn, msgspec.structs.replace(item, status="completed", exit_code=0)))

    def _compact(self, turn: TurnId) -> None:
        summary = user_item("summary of all that")
        self.append(
            Compacted(turn_id=turn, message="summary of all that", history=(user_item("fix it"), summary)),
            shown(turn, ContextCompaction(id=self.fresh("compaction"))),
        )


def output_item(call_id: str, text: str, *, freeform: bool) -> HistoryItem:
    kind = "custom_tool_call_output" if freeform else "function_call_output"
    raw = _json({"type": kind, "call_id": call_id, "output": text})
    return HistoryItem(kind=kind, raw=raw, call_id=CallId(call_id))  # type: ignore[arg-type]  # one of the literals


def conversation(rng: random.Random, turns: int = 2) -> list[tuple[Record, ...]]:
    """The appends of a thread of ``turns`` turns."""
    talk = Conversation(rng)
    for _ in range(turns):
        talk.play_turn()
        if rng.random() < 0.2:
            talk.append(ThreadNamed(name="a good name"))
    return talk.appends


def write(appends: list[tuple[Record, ...]], first_ordinal: int = 0, at: float = START) -> bytes:
    """The file that these appends come to."""
    lines: list[bytes] = []
    for records in appends:
        lines += encode(records, thread_id=THREAD, first_ordinal=first_ordinal + len(lines), at=at)
    return b"".join(lines)
