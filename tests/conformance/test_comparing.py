"""The comparator sees what is missing, added, swapped and changed, and nothing in what may differ."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.conformance.checking import judge, load
from tests.conformance.compare import compare
from tests.conformance.replay import replay
from tests.conformance.shape import events
from tests.conformance.transcripts import Line, Transcript
from tests.reference import reference_path


def told(method: str, **params: Any) -> Line:
    return Line("A", "s2c", frame={"method": method, "params": {"threadId": "t", **params}})


def message(kind: str, turn: str, item: str, text: str = "") -> Line:
    return told(f"item/{kind}", turnId=turn, item={"type": "agentMessage", "id": item, "text": text})


def conversation(turn: str, item: str, pieces: tuple[str, ...] = ("Hello ", "world")) -> list[Line]:
    return [
        told("turn/started", turn={"id": turn, "status": "inProgress", "startedAt": len(turn)}),
        message("started", turn, item),
        *(told("item/agentMessage/delta", turnId=turn, itemId=item, delta=piece) for piece in pieces),
        message("completed", turn, item, "Hello world"),
        told("turn/completed", turn={"id": turn, "status": "completed", "startedAt": len(turn)}),
    ]


RECORDED = conversation("turn-1", "item-1")


def report(ours: list[Line]) -> list[str]:
    return compare(events(RECORDED), events(ours), {}).report()


def test_other_ids_times_and_cuts_of_a_text_are_no_difference() -> None:
    assert report(conversation("another turn", "x", ("Hello world",))) == []


def test_what_is_missing_is_seen() -> None:
    assert report(RECORDED[:-1]) == ["A: not sent: turn/completed completed"]


def test_what_is_added_is_seen() -> None:
    assert report([*RECORDED, told("warning", message="!")]) == ["A: sent besides: warning"]


def test_another_order_is_seen() -> None:
    [first, second, *rest] = RECORDED
    assert report([second, first, *rest]) == ["A: item/started agentMessage came before turn/started"]


def test_another_value_and_a_member_that_is_left_out_are_seen() -> None:
    ours = copy.deepcopy(RECORDED)
    item = ours[-2].params["item"]
    item["text"] = "Good bye"
    del ours[0].params["turn"]["status"]
    assert report(ours) == [
        "A: turn/started:turn.status: left out",
        "A: item/completed:item.text: 'Good bye' for 'Hello world'",
    ]


def test_ids_that_are_mixed_up_are_seen() -> None:
    ours = [*RECORDED[:-2], message("completed", "turn-1", "another", "Hello world"), RECORDED[-1]]
    assert "A: not sent: item/completed agentMessage" in report(ours)


@pytest.mark.reference
def test_a_recorded_turn_plays_without_a_difference_and_a_changed_recording_does_not(tmp_path: Path) -> None:
    everything = load(reference_path("protocol/transcripts"))
    transcript = next(each for each in everything if each.name == "client_text_turn")
    played = trio.run(replay, transcript, tmp_path)
    assert judge(transcript, played).report == []
    lines = [line for line in transcript.lines if line.method != "item/completed"]
    assert judge(Transcript(transcript.name, tuple(lines)), played).verdict == "clean", "every item may complete"
    lines = [line for line in transcript.lines if line.method != "turn/started"]
    assert judge(Transcript(transcript.name, tuple(lines)), played).verdict == "differs"
