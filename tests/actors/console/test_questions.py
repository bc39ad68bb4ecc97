"""Questions at a terminal: one after the other, by key, withdrawn when somebody else answers."""

from __future__ import annotations

import io
from typing import Any

import trio
import trio.testing
from rich.console import Console

from actors.console.choices import by_key, by_word, choices
from actors.console.client import Incoming
from actors.console.questions import SEEN_SECONDS, Asker, Pending, drawn, is_approval, subject
from actors.console.stage import Stage
from actors.console.turn import _Answers
from actors.console.user_input import SKIP, Answering


def question(id_: str, command: str = "make") -> Incoming:
    params = {
        "threadId": "t",
        "turnId": "u",
        "itemId": f"item-{id_}",
        "command": f"/bin/bash -lc '{command}'",
        "commandActions": [{"type": "unknown", "command": command}],
        "cwd": "/w",
        "reason": "There is no sandbox.",
    }
    return Incoming(method="item/commandExecution/requestApproval", params=params, id=id_)


def printed(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_question_says_what_where_and_why() -> None:
    assert printed(drawn(question("1"), None, keys=True)).splitlines() == [
        "? $ make",
        "  in /w",
        "  There is no sandbox.",
        "  [y] yes   [a] yes, and the same again in this session   [n] no   [q] no, and end the turn",
    ]
    change = {"type": "fileChange", "changes": [{"path": "/etc/x", "kind": {"type": "add"}, "diff": ""}]}
    asked = Incoming(method="item/fileChange/requestApproval", params={"itemId": "i"}, id="2")
    assert subject(asked, change) == "patch /etc/x"
    assert "add /etc/x" in printed(drawn(asked, change, keys=False))
    assert subject(asked, None) == "a change of files"


def test_a_request_for_rights_says_which_and_for_how_long_they_may_be_granted() -> None:
    files = {"read": ["/etc/app"], "write": ["/data"], "entries": []}
    params = {
        "itemId": "i",
        "cwd": "/w",
        "reason": "Results are kept there.",
        "permissions": {"fileSystem": files, "network": {"enabled": True}},
    }
    asked = Incoming(method="item/permissions/requestApproval", params=params, id="1")
    assert is_approval(asked)
    assert printed(drawn(asked, None, keys=True)).splitlines() == [
        "? more rights than the sandbox gives: write /data, read /etc/app, use the network",
        "  in /w",
        "  Results are kept there.",
        "  [y] yes, for this turn   [a] yes, for this session   [n] no   [q] no, and end the turn",
    ]
    assert [choice.decision for choice in choices(asked)] == ["accept", "acceptForSession", "decline", "cancel"]


def test_the_oldest_question_comes_first() -> None:
    pending = Pending()
    first, second = question("1"), question("2")
    pending.ask(first, 0)
    pending.ask(second, 0)
    assert (pending.first, len(pending)) == (first, 2)
    assert pending.drop("1", 1) is first
    assert pending.drop("1", 1) is None
    assert pending.first is second


def test_a_key_counts_once_the_question_could_be_seen() -> None:
    pending = Pending()
    pending.ask(question("1"), 10.0)
    pending.ask(question("2"), 10.0)
    assert pending.answered_by("y", 10.0 + SEEN_SECONDS / 2) is None
    answered = pending.answered_by("y", 10.0 + SEEN_SECONDS)
    assert answered is not None
    assert (answered[0].id, answered[1].decision) == ("1", "accept")
    assert pending.answered_by("x", 20.0) is None
    pending.drop("1", 20.0)
    assert not pending.takes_keys(20.1), "the second has only just come up"
    assert pending.takes_keys(21.0 + SEEN_SECONDS)
    pending.drop("2", 21.0)
    assert not pending.takes_keys(30.0)


def test_a_rule_is_offered_whole_and_sent_as_it_was_proposed() -> None:
    prefix = ["git", "commit -m", "$HOME"]
    asked = question("1")
    asked.params["availableDecisions"] = [
        "accept",
        {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": prefix}},
        "decline",
        "cancel",
    ]
    assert [choice.word for choice in choices(asked)] == ["yes", "always", "no", "quit"]
    rows = printed(drawn(asked, None, keys=True)).splitlines()[3:]
    assert rows == [
        "  [y] yes   [n] no   [q] no, and end the turn",
        "  [p] yes, and do not ask again for commands that start with: git 'commit -m' '$HOME'",
    ]
    rule = by_key(asked, "p")
    assert rule is not None
    assert rule.decision == {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": prefix}}
    assert by_word(asked, "always") == rule
    assert by_key(asked, "a") is None
    assert by_word(question("2"), "always") is None


async def test_keys_answer_one_question_after_the_other(autojump_clock: trio.testing.MockClock) -> None:
    asker = Asker()
    stage = Stage(Console(file=io.StringIO()))
    answers: dict[str, Any] = {}

    async def ask(id_: str) -> None:
        answers[id_] = await asker.answer(question(id_))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "1")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask, "2")
            await trio.testing.wait_all_tasks_blocked()
            for key in ("x", "a", "q", "y"):
                asker._press(key, stage)  # before anybody can have seen what is asked
            for key in ("x", "a", "y", "q"):
                await trio.sleep(SEEN_SECONDS)
                asker._press(key, stage)
    assert answers == {"1": {"decision": "acceptForSession"}, "2": {"decision": "accept"}}
    assert asker.footer() is None


async def test_what_is_no_question_is_declined() -> None:
    asked = Incoming(method="item/tool/call", params={}, id="1")
    assert await Asker().answer(asked) == {"decision": "decline"}


class FakeClient:
    def __init__(self) -> None:
        self.answers: list[tuple[str | int, Any]] = []

    async def answer(self, request_id: str | int, result: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.answers.append((request_id, result))


async def test_a_question_answered_elsewhere_is_asked_no_more() -> None:
    asker, client = Asker(), FakeClient()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            answers = _Answers(client, asker.answer, nursery)  # type: ignore[arg-type]  # it only answers
            answers.begin(question("1"))
            await trio.testing.wait_all_tasks_blocked()
            assert asker.footer() is not None
            answers.withdraw("1")
            answers.withdraw("unknown")
    assert asker.footer() is None
    assert client.answers == []


def asked_by_the_model(*ids: str) -> Incoming:
    options = [{"label": "A", "description": "first"}, {"label": "B", "description": "second"}]
    questions = [{"id": id_, "header": id_, "question": f"{id_}?", "options": options} for id_ in ids]
    return Incoming(method="item/tool/requestUserInput", params={"threadId": "t", "questions": questions}, id="1")


def test_the_models_questions_are_answered_by_number_or_in_ones_own_words() -> None:
    answering = Answering(asked_by_the_model("q1", "q2"))
    assert printed(answering.drawn(how="how")).splitlines()[:4] == [
        "? q1: q1?",
        "  [1] A  first",
        "  [2] B  second",
        "  how",
    ]
    assert answering.take("2") is None
    assert "q2?" in printed(answering.drawn(how=""))
    assert answering.take("neither, really") == {
        "answers": {"q1": {"answers": ["B"]}, "q2": {"answers": ["neither, really"]}}
    }
    assert answering.summary() == "q1: B; q2: neither, really"
    assert Answering(asked_by_the_model("q1")).take(SKIP) == {"decision": "decline"}


async def test_a_key_chooses_an_answer_to_the_models_question() -> None:
    asker = Asker()
    stage = Stage(Console(file=io.StringIO()))
    told: list[dict[str, Any]] = []

    async def ask() -> None:
        told.append(await asker.answer(asked_by_the_model("q1")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert "q1?" in printed(asker.footer())
        asker._press("9", stage)
        asker._press("1", stage)
    assert told == [{"answers": {"q1": {"answers": ["A"]}}}]
    assert asker.footer() is None


def test_of_the_calls_under_way_the_last_is_found() -> None:
    stage = Stage(Console(file=io.StringIO()))
    assert stage.last_call() is None
    for id_, kind in (("1", "commandExecution"), ("2", "dynamicToolCall"), ("3", "reasoning")):
        stage.begin({"id": id_, "type": kind})
    last = stage.last_call()
    assert last is not None
    assert last["id"] == "2"
