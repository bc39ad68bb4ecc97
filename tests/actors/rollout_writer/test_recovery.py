"""The recovery table of DESIGN §4, row by row. That recovery converges from any prefix is in test_prefix_law."""

from __future__ import annotations

import msgspec
import pytest

from actors.rollout_writer.projection import project
from actors.rollout_writer.recovery import Recovery, recover
from actors.rollout_writer.transcript import DECLINED_TEXT, NEVER_STARTED_TEXT, UNKNOWN_TEXT, output_for
from actors.session.history import user_item
from messages.approval import ApprovalDecision, CommandNeed
from messages.base import CallId, ItemId, TurnId
from messages.client.item import AgentMessage, TextInput, ThreadItem, UserMessage
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    ItemShown,
    Record,
    ResponseItem,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ToolStarted,
    TurnClosed,
    TurnOpened,
)
from messages.session import Approval
from tests.actors.rollout_writer.rollouts import (
    META,
    START,
    call_item,
    command,
    output_item,
    patch,
    write,
)

TURN = TurnId("turn_1")
OPENED = TurnOpened(turn_id=TURN, submission_id="sub_1", started_at=START)
AT = START + 60
AT_MS = int(AT * 1000)
CLOSED = TurnClosed(turn_id=TURN, status="interrupted", completed_at=AT)
A, B = call_item("a"), call_item("b", freeform=True)
A_ITEM, B_ITEM = command("item_a"), patch("item_b")


def requested(*calls: str) -> list[Record]:
    items = {"a": A, "b": B}
    return [ResponseItem(turn_id=TURN, item=items[call], response_id="r1") for call in calls]


def started(call: str, item: ThreadItem | None) -> ToolStarted:
    return ToolStarted(
        turn_id=TURN,
        call_id=CallId(call),
        item_id=ItemId(f"item_{call}"),
        name="exec_command",
        idempotency_key=f"key-{call}",
        item=item,
    )


def asked(call: str, item: ThreadItem | None) -> ApprovalAsked:
    need = CommandNeed(argv=("make",), script=None, cwd="/")
    approval = Approval(
        id=f"q-{call}",
        turn_id=TURN,
        item_id=ItemId(f"item_{call}"),
        call_id=CallId(call),
        need=need,
        asked_at=START,
    )
    return ApprovalAsked(approval=approval, item=item)


def answered(call: str, decision: ApprovalDecision | None) -> ApprovalAnswered:
    return ApprovalAnswered(approval_id=f"q-{call}", decision=decision, by="client")


def ended(item: ThreadItem, status: str = "failed") -> ItemShown:
    item = msgspec.structs.replace(item, status=status, completed_at_ms=AT_MS)
    return ItemShown(turn_id=TURN, item=item, at_ms=AT_MS, partial=True)


def answer(call_item_id: str, text: str, *, shown: bool = True) -> ResponseItem:
    output = output_for({"a": A, "b": B}[call_item_id], text)
    return ResponseItem(turn_id=TURN, item=output, item_id=ItemId(f"item_{call_item_id}") if shown else None)


def recovered(*log: Record) -> Recovery:
    return recover(project(write([(META, OPENED, *log)])), at=AT)


def test_a_turn_that_was_sampling_is_interrupted() -> None:
    assert recovered() == Recovery(records=(CLOSED,), state="idle")


def test_a_started_call_is_unknown_and_one_never_started_says_so() -> None:
    assert recovered(*requested("a", "b"), started("a", A_ITEM)) == Recovery(
        records=(answer("a", UNKNOWN_TEXT), ended(A_ITEM), answer("b", NEVER_STARTED_TEXT, shown=False), CLOSED),
        state="idle",
    )


def test_a_turn_that_only_waits_for_people_stays_open() -> None:
    assert recovered(*requested("a", "b"), asked("a", A_ITEM)) == Recovery(records=(), state="stays_open")


def test_a_question_beside_a_started_call_lapses_with_the_turn() -> None:
    assert recovered(*requested("a", "b"), started("a", None), asked("b", B_ITEM)) == Recovery(
        records=(
            ApprovalAnswered(approval_id="q-b", decision=None),
            answer("a", UNKNOWN_TEXT, shown=False),
            answer("b", NEVER_STARTED_TEXT),
            ended(B_ITEM),
            CLOSED,
        ),
        state="idle",
    )


@pytest.mark.parametrize(
    ("decision", "text", "status"),
    [
        ("decline", DECLINED_TEXT, "declined"),
        ("cancel", DECLINED_TEXT, "declined"),
        ("accept", NEVER_STARTED_TEXT, "failed"),
        (None, NEVER_STARTED_TEXT, "failed"),
    ],
)
def test_an_answered_question_without_a_start_ends_with_the_turn(
    decision: ApprovalDecision | None, text: str, status: str
) -> None:
    assert recovered(*requested("b"), asked("b", B_ITEM), answered("b", decision)) == Recovery(
        records=(answer("b", text), ended(B_ITEM, status), CLOSED), state="idle"
    )


def test_an_answered_call_needs_nothing_and_its_item_is_completed_if_it_was_not() -> None:
    output = ResponseItem(turn_id=TURN, item=output_item("a", "done", freeform=False))
    assert recovered(*requested("a"), started("a", A_ITEM), output) == Recovery(
        records=(ended(A_ITEM), CLOSED), state="idle"
    )


def test_text_that_was_being_shown_is_completed_as_partial() -> None:
    part = AgentMessage(id="m1", text="half a sent")
    shown = ItemShown(
        turn_id=TURN, item=AgentMessage(id="m1", text="half a sent", completed_at_ms=AT_MS), at_ms=AT_MS, partial=True
    )
    assert recovered(TextCheckpoint(turn_id=TURN, item_id=ItemId("m1"), item=part)) == Recovery(
        records=(shown, CLOSED), state="idle"
    )


def test_a_running_commands_checkpointed_output_is_kept_in_its_item() -> None:
    sofar = msgspec.structs.replace(A_ITEM, aggregated_output="1 passed")
    checkpoint = TextCheckpoint(turn_id=TURN, item_id=ItemId("item_a"), item=sofar)
    assert recovered(*requested("a"), started("a", A_ITEM), checkpoint) == Recovery(
        records=(answer("a", UNKNOWN_TEXT), ended(sofar), CLOSED), state="idle"
    )


def test_a_command_that_had_passed_to_the_thread_is_completed_whatever_became_of_its_turn() -> None:
    output = ResponseItem(turn_id=TURN, item=output_item("a", "session 7", freeform=False), item_id=ItemId("item_a"))
    passed = TerminalPassed(turn_id=TURN, call_id=CallId("a"), terminal=7, item=A_ITEM)
    closed = TurnClosed(turn_id=TURN, status="completed", completed_at=START)
    assert recovered(*requested("a"), started("a", A_ITEM), output, passed, closed) == Recovery(
        records=(ended(A_ITEM),), state="idle"
    )


def test_input_that_was_taken_and_had_not_entered_enters() -> None:
    steered = UserMessage(id="item_u", content=(TextInput(text="and then?"),))
    accepted = SteerAccepted(turn_id=TURN, submission_id="sub_2", item=steered)
    shown = msgspec.structs.replace(steered, started_at_ms=AT_MS, completed_at_ms=AT_MS)
    entered = (
        ResponseItem(turn_id=TURN, item=user_item(steered.content), item_id=ItemId("item_u")),
        ItemShown(turn_id=TURN, item=shown, at_ms=AT_MS),
    )
    assert recovered(accepted) == Recovery(records=(*entered, CLOSED), state="idle")
    assert recovered(accepted, *entered) == Recovery(records=(CLOSED,), state="idle")


def test_input_that_a_program_had_to_hear_first_is_shown_and_withheld() -> None:
    steered = UserMessage(id="item_u", content=(TextInput(text="and then?"),))
    accepted = SteerAccepted(turn_id=TURN, submission_id="sub_2", item=steered, unheard=True)
    shown = msgspec.structs.replace(steered, started_at_ms=AT_MS, completed_at_ms=AT_MS)
    withheld = ItemShown(turn_id=TURN, item=shown, at_ms=AT_MS, partial=True)
    assert recovered(accepted) == Recovery(records=(withheld, CLOSED), state="idle")
    assert recovered(accepted, withheld) == Recovery(records=(CLOSED,), state="idle")


def test_a_closed_thread_needs_nothing() -> None:
    closed = TurnClosed(turn_id=TURN, status="completed", completed_at=START)
    assert recovered(closed) == Recovery(records=(), state="idle")
