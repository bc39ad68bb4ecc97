"""Effects keep their order and never overtake the write they depend on; writes that queue up are joined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.session.effects import Append, ChildId, Effect, Show, StartTool
from actors.session.outbox import Outbox, Write
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.log import ThreadNamed
from messages.session import Warned
from messages.tools import ToolCall


def append(name: str, *, barrier: bool = False) -> Append:
    return Append(records=(ThreadNamed(name=name),), barrier=barrier)


def show(text: str) -> Show:
    return Show(event=Warned(message=text))


def shown_text(todo: Effect | Write) -> str | None:
    return todo.event.message if isinstance(todo, Show) and isinstance(todo.event, Warned) else None


def performed(outbox: Outbox) -> list[Effect | Write]:
    done: list[Effect | Write] = []
    while (todo := outbox.next()) is not None:
        done.append(todo)
    return done


def test_what_was_queued_meanwhile_is_one_write_and_a_barrier_is_not_brought_forward() -> None:
    outbox = Outbox(10)
    for effect in (append("a"), show("a")):
        outbox.put(effect)
    (first,) = performed(outbox)
    assert first == Write(first_ordinal=10, records=(ThreadNamed(name="a"),), barrier=False)
    for effect in (append("b"), show("b"), append("c"), show("c"), append("d", barrier=True), show("d")):
        outbox.put(effect)
    outbox.written()
    assert performed(outbox) == [
        show("a"),
        Write(first_ordinal=11, records=(ThreadNamed(name="b"), ThreadNamed(name="c")), barrier=False),
    ]
    outbox.written()
    assert performed(outbox) == [
        show("b"),
        show("c"),
        Write(first_ordinal=13, records=(ThreadNamed(name="d"),), barrier=True),
    ]


def test_a_write_that_failed_goes_ahead_of_the_next_and_what_waited_goes_on() -> None:
    outbox = Outbox(0)
    for effect in (append("a"), show("a"), append("b", barrier=True), show("b")):
        outbox.put(effect)
    performed(outbox)
    assert outbox.failed() == [show("a"), show("b")]
    assert (outbox.behind, outbox.idle) == (2, True)
    outbox.put(append("c"))
    names = ("a", "b", "c")
    assert performed(outbox) == [
        Write(first_ordinal=0, records=tuple(ThreadNamed(name=name) for name in names), barrier=True)
    ]
    outbox.written()
    assert (outbox.ordinal, outbox.behind) == (3, 0)


def test_a_start_that_still_waits_can_be_taken_back() -> None:
    call = ToolCall(
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        call_id=CallId("c"),
        item_id=ItemId("i"),
        name="run",
        arguments="{}",
        idempotency_key="k",
    )
    outbox = Outbox(0)
    outbox.put(append("a"))
    outbox.put(StartTool(call=call))
    performed(outbox)
    assert outbox.withdraw(ChildId("i"))
    assert not outbox.withdraw(ChildId("i"))


@given(st.lists(st.sampled_from(["plain", "barrier", "show", "done", "fail"]), max_size=40))
def test_any_sequence_keeps_order_and_loses_nothing(moves: list[str]) -> None:
    outbox = Outbox(0)
    put: list[str] = []
    logged: list[str] = []
    shown: list[str] = []
    lost_order = False

    def settle(*, well: bool) -> None:
        nonlocal lost_order
        if outbox.write is None:
            return
        if well:
            logged.extend(record.name for record in outbox.write.records if isinstance(record, ThreadNamed))
            outbox.written()
            assert outbox.ordinal == len(logged)
        else:
            lost_order = True
            shown.extend(text for effect in outbox.failed() if (text := shown_text(effect)) is not None)
        perform()

    def perform() -> None:
        for todo in performed(outbox):
            text = shown_text(todo)
            if text is not None:
                shown.append(text)
                if not lost_order:
                    before = put[: put.index(f"show {text}")]
                    assert {name for name in before if not name.startswith("show ")} <= set(logged)

    for number, move in enumerate(moves):
        if move == "show":
            put.append(f"show {number}")
            outbox.put(show(str(number)))
        elif move in ("plain", "barrier"):
            put.append(str(number))
            outbox.put(append(str(number), barrier=move == "barrier"))
        else:
            settle(well=move == "done")
        perform()
    outbox.put(append("last"))
    perform()
    while outbox.write is not None:
        settle(well=True)
    assert logged == [*(name for name in put if not name.startswith("show ")), "last"]
    assert shown == [name.removeprefix("show ") for name in put if name.startswith("show ")]
