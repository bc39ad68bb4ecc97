"""``callboard approve``: the questions that wait for people, in all threads that are loaded, and answering one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import trio
from rich.text import Text

from actors.console import home as homes
from actors.console.choices import Choice, by_word, choices
from actors.console.client import Client, Incoming, NotReachableError, WireError, connect
from actors.console.questions import drawn, is_approval, subject
from actors.console.screen import Screen
from actors.console.stage import Item
from actors.console.threads import SHORT

OK, FAILED = 0, 1

ANSWER_SECONDS = 10.0
"""For the daemon to say that it took the answer."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One that is open: the daemon's request, and the item it is about."""

    thread: dict[str, Any]
    message: Incoming
    item: Item | None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return str(self.message.id)[-SHORT:]


async def run(which: str | None, decision: str | None, *, as_json: bool) -> int:
    """List the questions, or answer one; the exit code. Raises NotReachableError, WireError."""
    found = homes.running(homes.home())
    if found is None:
        raise NotReachableError(f"No daemon runs in {homes.home()}, so nothing asks. Start one with: callboard serve")
    async with connect(found.address, token=homes.token(homes.home()), name="callboard-approve") as client:
        questions = await _open_questions(client)
        if which is None:
            _list(questions, as_json=as_json)
            return OK
        answers = [(question, _choice(question, decision or "yes")) for question in _chosen(questions, which)]
        for question, choice in answers:
            await _answer(client, question, choice)
    return OK


async def _open_questions(client: Client) -> list[Question]:
    """Watching a thread begins with its open questions: they come before the answer to whatever is asked next."""
    found: list[Question] = []
    for thread_id in (await client.request("thread/loaded/list"))["data"]:
        view = (await client.request("thread/read", {"threadId": thread_id}))["thread"]
        if "waitingOnApproval" not in (view["status"].get("activeFlags") or ()):
            continue
        thread = (await client.request("thread/resume", {"threadId": thread_id}))["thread"]
        await client.request("thread/loaded/list")
        items = {item["id"]: item for turn in thread["turns"] for item in turn["items"]}
        found += [
            Question(thread=thread, message=message, item=items.get(message.params["itemId"]))
            for message in client.waiting()
            if is_approval(message) and message.params["threadId"] == thread_id
        ]
    return found


def _list(questions: Sequence[Question], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {
                "id": question.name,
                "threadId": question.thread["id"],
                "about": subject(question.message, question.item),
                "cwd": question.message.params.get("cwd"),
                "reason": question.message.params.get("reason"),
                "script": question.message.params.get("script"),
                "answers": [choice.word for choice in choices(question.message)],
                "rule": question.message.params.get("proposedExecpolicyAmendment"),
            }
            for question in questions
        ]
        print(msgspec.json.encode(shown).decode())
        return
    console = Screen()
    if not questions:
        console.print("nothing waits for an answer")
    for question in questions:
        about = question.thread.get("name") or question.thread["preview"]
        console.print(
            Text.assemble((question.name, "bold"), ("  thread ", "dim"), question.thread["id"][-SHORT:], f"  {about}")
        )
        console.print(drawn(question.message, question.item, keys=False))
        for choice in choices(question.message):
            console.print(Text.assemble((f"  {choice.word:<8}", "cyan"), (choice.label, "dim")))
    if questions:
        words = "|".join(choice.word for choice in choices(questions[0].message))
        console.print(Text(f"answer with: callboard approve {questions[0].name} {words}", style="dim"))


def _chosen(questions: Sequence[Question], which: str) -> list[Question]:
    if which == "all":
        return list(questions)
    chosen = [question for question in questions if str(question.message.id).endswith(which)]
    if len(chosen) != 1:
        how_many = "no" if not chosen else "more than one"
        raise WireError("approve", 0, f"{how_many} open question is called {which!r}; see: callboard approve")
    return chosen


def _choice(question: Question, word: str) -> Choice:
    """Raises WireError where the question does not take that answer."""
    choice = by_word(question.message, word)
    if choice is None:
        taken = ", ".join(each.word for each in choices(question.message))
        raise WireError("approve", 0, f"{question.name} cannot be answered with {word!r}, but with: {taken}")
    return choice


async def _answer(client: Client, question: Question, choice: Choice) -> None:
    id_ = question.message.id
    assert id_ is not None
    await client.answer(id_, {"decision": choice.decision})
    with trio.move_on_after(ANSWER_SECONDS):
        async for message in client.incoming():
            if message.method == "serverRequest/resolved" and message.params["requestId"] == id_:
                said = f"{subject(question.message, question.item)}: {choice.said}"
                Screen().print(Text(said), soft_wrap=True)
                return
    raise NotReachableError(f"The daemon did not say that it took the answer to {question.name}.")
