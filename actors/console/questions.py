"""Questions of the daemon to people: what they look like, and which key answers what. The first answer counts."""

from __future__ import annotations

from typing import Any, Final

import trio
from rich.console import Group, RenderableType
from rich.text import Text

from actors.console.client import Incoming
from actors.console.keys import Key, Keyboard
from actors.console.stage import Item, Stage, headline
from actors.console.user_input import SKIP, Answering, asks_user

ANSWERS: Final = {"y": "accept", "a": "acceptForSession", "n": "decline", "q": "cancel"}
"""By key."""

WORDS: Final = {
    "accept": "accepted",
    "acceptForSession": "accepted for the session",
    "decline": "declined",
    "cancel": "declined, and the turn ended",
}

APPROVALS: Final = frozenset({"item/commandExecution/requestApproval", "item/fileChange/requestApproval"})

KEYS: Final = "[y] yes   [a] yes, and the same again in this session   [n] no   [q] no, and end the turn"


def is_approval(message: Incoming) -> bool:
    """Whether a request is one of these; others are answered with an error."""
    return message.id is not None and message.method in APPROVALS


def subject(message: Incoming, item: Item | None) -> str:
    """What it is about, in one line."""
    params: dict[str, Any] = message.params
    if "command" in params:
        return f"$ {_script(params)}"
    return "a change of files" if item is None else headline(item).plain


def _script(params: dict[str, Any]) -> str:
    actions: list[dict[str, Any]] = params.get("commandActions") or []
    return str(actions[0]["command"] if len(actions) == 1 else params["command"])


def drawn(message: Incoming, item: Item | None, *, keys: bool = True) -> RenderableType:
    """The whole question, and which ``keys`` answer it."""
    params: dict[str, Any] = message.params
    rows: list[RenderableType] = [Text.assemble(("? ", "bold yellow"), (subject(message, item), "bold"))]
    if params.get("cwd"):
        rows.append(Text(f"  in {params['cwd']}", style="dim"))
    if params.get("reason"):
        rows += [Text(f"  {line}", style="yellow") for line in str(params["reason"]).splitlines()]
    if item is not None and item["type"] == "fileChange":
        rows += [Text(f"  {change['kind']['type']} {change['path']}", style="dim") for change in item["changes"]]
    if keys:
        rows.append(Text(f"  {KEYS}", style="cyan"))
    return Group(*rows)


class Pending:
    """The questions that are open, oldest first."""

    def __init__(self) -> None:
        self._open: dict[str | int, Incoming] = {}

    def ask(self, message: Incoming) -> None:
        assert message.id is not None
        self._open[message.id] = message

    def drop(self, request_id: str | int) -> Incoming | None:
        """It is answered; the question, if it was open here."""
        return self._open.pop(request_id, None)

    @property
    def first(self) -> Incoming | None:
        return next(iter(self._open.values()), None)

    def __len__(self) -> int:
        return len(self._open)


class Asker:
    """Asks the person at the terminal, one question after the other. `listen` hears the keys."""

    def __init__(self) -> None:
        self._pending = Pending()
        self._decided: dict[str | int, trio.Event] = {}
        self._decisions: dict[str | int, str] = {}
        self._asking: dict[Answering, tuple[list[dict[str, Any]], trio.Event]] = {}
        """The model's questions, oldest first, each with where its result goes."""
        self._stage: Stage | None = None

    async def answer(self, message: Incoming) -> dict[str, Any]:
        """What the person says to a question; no to whatever is none."""
        if asks_user(message):
            return await self._converse(message)
        if message.id is None or not is_approval(message):
            return {"decision": "decline"}
        decided = self._decided[message.id] = trio.Event()
        self._pending.ask(message)
        try:
            await decided.wait()
            return {"decision": self._decisions.pop(message.id)}
        finally:
            self._pending.drop(message.id)
            del self._decided[message.id]

    async def _converse(self, message: Incoming) -> dict[str, Any]:
        """What the person answers to the model's questions."""
        answering = Answering(message)
        result, answered = self._asking[answering] = ([], trio.Event())
        try:
            await answered.wait()
            return result[0]
        finally:
            del self._asking[answering]

    async def listen(self, stage: Stage) -> None:
        """Hear the keys until cancelled, or the end of input."""
        self._stage = stage
        with Keyboard() as keyboard:
            while pressed := await keyboard.read():
                for key in pressed:
                    self._press(key, stage)

    def footer(self) -> RenderableType | None:
        """The oldest question, for the stage."""
        question = self._pending.first
        if question is None:
            asking = next(iter(self._asking), None)
            return None if asking is None else asking.drawn(how="the number of an answer, or n for none")
        return drawn(question, None if self._stage is None else self._stage.item(question.params["itemId"]))

    def _press(self, key: Key, stage: Stage) -> None:
        question = self._pending.first
        if question is None and self._asking and isinstance(key, str):
            self._choose(key, stage)
            return
        if question is None or question.id is None or not isinstance(key, str) or key not in ANSWERS:
            return
        self._pending.drop(question.id)
        decision = self._decisions[question.id] = ANSWERS[key]
        shown = subject(question, stage.item(question.params["itemId"]))
        stage.say(Text(f"· {shown}: {WORDS[decision]}", style="dim"))
        self._decided[question.id].set()

    def _choose(self, key: str, stage: Stage) -> None:
        answering, (result, answered) = next(iter(self._asking.items()))
        if answered.is_set() or not (key == "n" or answering.offers(key)):
            return
        told = answering.take(SKIP if key == "n" else key)
        if told is not None:
            stage.say(Text(f"· {answering.summary()}", style="dim"))
            result.append(told)
            answered.set()
