"""What the log keeps is told again as the events it once was."""

from __future__ import annotations

from actors.gateway.catch_up import retell
from messages.approval import CommandNeed
from messages.base import CallId, ItemId, TurnId
from messages.client.item import AgentMessage
from messages.items import HistoryItem
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    ItemShown,
    Record,
    ResponseItem,
    ThreadNamed,
    TurnClosed,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import (
    Approval,
    ApprovalRequested,
    ApprovalResolved,
    ItemCompleted,
    NameChanged,
    Turn,
    TurnCompleted,
    TurnStarted,
    UsageUpdated,
)

T = TurnId("t")
ITEM = AgentMessage(id="m", text="hello")
APPROVAL = Approval(
    id="a",
    turn_id=T,
    item_id=ItemId("x"),
    call_id=CallId("c"),
    need=CommandNeed(argv=("ls",), script=None, cwd="/w"),
    asked_at=1.0,
)
USAGE = TokenUsage(total=7)


def test_a_stretch_of_the_log_is_told_as_events() -> None:
    records: tuple[Record, ...] = (
        TurnOpened(turn_id=T, submission_id="s", started_at=5.0),
        ResponseItem(turn_id=T, item=HistoryItem(kind="message", raw=b"{}")),
        ItemShown(turn_id=T, item=ITEM, at_ms=6),
        ApprovalAsked(approval=APPROVAL),
        ApprovalAnswered(approval_id="a", decision="accept", by="c1"),
        UsageRecorded(turn_id=T, last=USAGE, total=USAGE),
        ThreadNamed(name="n"),
        TurnClosed(turn_id=T, status="completed", completed_at=9.0, last_message="hello"),
        TurnClosed(turn_id=TurnId("earlier"), status="interrupted", completed_at=9.0),
    )
    assert retell(enumerate(records, 10)) == [
        (10, TurnStarted(turn=Turn(id=T, status="inProgress", started_at=5.0))),
        (12, ItemCompleted(turn_id=T, item=ITEM, at_ms=6)),
        (13, ApprovalRequested(approval=APPROVAL)),
        (14, ApprovalResolved(approval_id="a", decision="accept", by="c1")),
        (15, UsageUpdated(turn_id=T, last=USAGE, total=USAGE)),
        (16, NameChanged(name="n")),
        (
            17,
            TurnCompleted(turn=Turn(id=T, status="completed", started_at=5.0, completed_at=9.0), last_message="hello"),
        ),
        (
            18,
            TurnCompleted(turn=Turn(id=TurnId("earlier"), status="interrupted", started_at=9.0, completed_at=9.0)),
        ),
    ]
