"""How a history is arranged, case by case; the property tests are in test_prefix_law."""

from __future__ import annotations

import msgspec
import pytest

from actors.rollout_writer.transcript import NEVER_STARTED_TEXT, Transcript, output_for
from actors.rollout_writer.validity import validate_history
from messages.base import CallId
from messages.items import HistoryItem
from tests.actors.rollout_writer.rollouts import ORIGIN, call_item, said, thought, user_item

ASK = user_item("go")
STEER = user_item("rather that")
A, B = call_item("a"), call_item("b", freeform=True)
A_DONE, B_DONE = output_for(A, "a done"), output_for(B, "b done")


def arranged(*steps: tuple[HistoryItem, str | None] | HistoryItem) -> tuple[HistoryItem, ...]:
    transcript = Transcript()
    for step in steps:
        transcript.add(*step) if isinstance(step, tuple) else transcript.add(step)
    return transcript.items()


def test_outputs_follow_the_response_in_call_order_whatever_the_order_they_came_in() -> None:
    history = arranged(ASK, (A, "r1"), (B, "r1"), B_DONE, STEER, A_DONE)
    assert history == (ASK, A, B, A_DONE, B_DONE, STEER)
    assert validate_history(history) == []


def test_a_call_without_an_output_gets_one_that_says_so() -> None:
    transcript = Transcript((ASK, A, B, B_DONE), missing=lambda call_id: f"nothing of {call_id}")
    assert transcript.items() == (ASK, A, B, output_for(A, "nothing of a"), B_DONE)
    assert transcript.unanswered() == (A,)


def test_an_output_that_comes_after_the_model_went_on_is_left_out() -> None:
    transcript = Transcript((ASK,))
    transcript.add(A, "r1")
    transcript.add(said("on with it", "m1"), "r2")
    assert not transcript.add(A_DONE)
    assert transcript.items() == (ASK, A, output_for(A, NEVER_STARTED_TEXT), said("on with it", "m1"))


def test_a_second_output_and_one_of_the_wrong_form_are_left_out() -> None:
    transcript = Transcript((ASK, A, A_DONE))
    assert not transcript.add(output_for(A, "again"))
    assert not transcript.add(output_for(call_item("a", freeform=True), "other form"))
    assert transcript.items() == (ASK, A, A_DONE)


def test_reasoning_that_led_to_nothing_is_left_out_and_other_reasoning_stays_before_its_item() -> None:
    lost, kept = thought("lost", "rs1"), thought("kept", "rs2")
    assert arranged(ASK, (lost, "r1"), STEER, (kept, "r2"), (A, "r2")) == (
        ASK,
        STEER,
        kept,
        A,
        output_for(A, NEVER_STARTED_TEXT),
    )


def test_without_response_ids_a_group_ends_where_something_else_begins() -> None:
    first = (ASK, thought("x", "rs1"), A, A_DONE)
    assert arranged(*first, B, B_DONE, said("fin", "m")) == (*first, B, B_DONE, said("fin", "m"))


def test_calls_of_forms_that_cannot_be_answered_everywhere_go_with_their_outputs() -> None:
    raw = b'{"type":"local_shell_call","call_id":"s1","action":{}}'
    shell = HistoryItem(kind="opaque", raw=raw, call_id=CallId("s1"), origin=ORIGIN)
    output = HistoryItem(
        kind="function_call_output",
        raw=b'{"type":"function_call_output","call_id":"s1","output":"x"}',
        call_id=CallId("s1"),
    )
    search = HistoryItem(kind="opaque", raw=b'{"type":"web_search_call","id":"ws"}', origin=ORIGIN)
    assert arranged(ASK, shell, output, search) == (ASK, search)


def test_a_resumed_transcript_goes_on_as_if_it_had_never_stopped() -> None:
    steps: list[tuple[HistoryItem, str | None]] = [
        (ASK, None),
        (thought("x", "rs"), "r1"),
        (A, "r1"),
        (B, "r1"),
        (B_DONE, None),
        (STEER, None),
        (A_DONE, None),
        (said("fin", "m"), "r2"),
    ]
    whole = Transcript()
    for step in steps:
        whole.add(*step)
    for cut in range(len(steps) + 1):
        first = Transcript()
        for step in steps[:cut]:
            first.add(*step)
        second = Transcript.resume(first.state())
        assert second.unanswered() == first.unanswered()
        for step in steps[cut:]:
            second.add(*step)
        assert second.items() == whole.items()


def test_replacing_the_history_forgets_what_was_before() -> None:
    transcript = Transcript((ASK, A))
    transcript.replace((STEER,))
    assert not transcript.add(A_DONE)
    assert transcript.items() == (STEER,)


@pytest.mark.parametrize(
    ("history", "complaint"),
    [
        ((ASK, A), "calls without an output at the end"),
        ((ASK, A_DONE), "is due"),
        ((ASK, A, ASK, A_DONE), "before the outputs"),
        ((ASK, A, B, B_DONE, A_DONE), "is due"),
        ((ASK, A, B, A_DONE, ASK), "before the outputs"),
        ((ASK, A, A_DONE, A, A_DONE), "repeated call id"),
        ((ASK, thought("x", "rs")), "reasoning at the very end"),
        ((ASK, thought("x", "rs"), ASK), "reasoning is followed by message"),
        ((said("x", "m"), said("y", "m")), "was used before"),
        ((msgspec.structs.replace(ASK, raw=b"{"),), "not a JSON object"),
        ((msgspec.structs.replace(ASK, kind="reasoning"),), "is called reasoning but says message"),
    ],
)
def test_the_checker_finds_what_providers_refuse(history: tuple[HistoryItem, ...], complaint: str) -> None:
    assert any(complaint in found for found in validate_history(history))


def test_the_checker_accepts_a_whole_conversation() -> None:
    history = (ASK, thought("x", "rs"), said("m", "m"), A, B, A_DONE, B_DONE, thought("y", "rs2"), said("n", "n"))
    assert validate_history(history) == []
