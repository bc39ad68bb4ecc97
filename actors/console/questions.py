"""Questions of the daemon to people: what they look like, and which key answers what. The first answer counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import trio
from rich.console import Console, Group, RenderableType
from rich.text import Text

from actors.console.choices import Choice, by_key, choices
from actors.console.client import Incoming
from actors.console.keys import Key, Keyboard
from actors.console.stage import Item, Stage, headline
from actors.console.user_input import SKIP, Answering, asks_user

APPROVALS: Final = frozenset(
    {"item/commandExecution/requestApproval", "item/fileChange/requestApproval", "item/permissions/requestApproval"}
)


OTHER_ROWS: Final = 5
"""Of the screen, beside a question: a call under way, how many more wait, the line that is typed, how things are."""

SEEN_SECONDS: Final = 0.4
"""A question takes no key before it has been on the screen for so long: whoever is in the middle of a word that begins
with y has not said yes. People take longer than this to read one."""


def is_approval(message: Incoming) -> bool:
    """Whether a request is one of these; others are answered with an error."""
    return message.id is not None and message.method in APPROVALS


def subject(message: Incoming, item: Item | None) -> str:
    """What it is about, in one line."""
    params: dict[str, Any] = message.params
    if "command" in params:
        return f"$ {_script(params)}"
    if "permissions" in params:
        return f"more rights than the sandbox gives: {_rights(params['permissions'])}"
    return "a change of files" if item is None else headline(item).plain


def _script(params: dict[str, Any]) -> str:
    actions: list[dict[str, Any]] = params.get("commandActions") or []
    return str(actions[0]["command"] if len(actions) == 1 else params["command"])


def _rights(asked: dict[str, Any]) -> str:
    files: dict[str, Any] = asked.get("fileSystem") or {}
    words = [f"{verb} {path}" for verb in ("write", "read") for path in files.get(verb) or ()]
    return ", ".join((*words, *(("use the network",) if asked.get("network") else ())))


def drawn(message: Incoming, item: Item | None, *, keys: bool) -> RenderableType:
    """The whole question, and, once they do, which ``keys`` answer it."""
    params: dict[str, Any] = message.params
    rows: list[RenderableType] = [Text.assemble(("? ", "bold yellow"), (subject(message, item), "bold"))]
    if params.get("cwd"):
        rows.append(Text(f"  in {params['cwd']}", style="dim"))
    if params.get("reason"):
        rows += [Text(f"  {line}", style="yellow") for line in str(params["reason"]).splitlines()]
    if item is not None and item["type"] == "fileChange":
        rows += [Text(f"  {change['kind']['type']} {change['path']}", style="dim") for change in item["changes"]]
    if keys:
        rows += [Text(row, style="cyan") for row in _keys(message)]
    return Group(*rows)


def is_tall(console: Console, message: Incoming, item: Item | None) -> bool:
    """Whether the question would push its own keys, or the line that is typed, off the screen."""
    rows = console.render_lines(drawn(message, item, keys=True), pad=False)
    return len(rows) > console.height - OTHER_ROWS


def in_brief(message: Incoming, item: Item | None, *, keys: bool) -> RenderableType:
    """A tall question, for below: what it says at length has been printed above."""
    head = Text.assemble(("? ", "bold yellow"), (" ".join(subject(message, item).split()), "bold"))
    head.no_wrap, head.overflow = True, "ellipsis"
    offered = "   ".join(f"[{choice.key}] {choice.word}" for choice in choices(message)) if keys else ""
    return Group(head, Text("  the whole question stands above", style="dim"), Text(f"  {offered}", style="cyan"))


def _keys(message: Incoming) -> Iterator[str]:
    """The short answers in one row; a rule, which may be long, in one of its own."""
    offered = choices(message)
    yield "  " + "   ".join(f"[{choice.key}] {choice.label}" for choice in offered if choice.word != "always")
    yield from (f"  [{choice.key}] {choice.label}" for choice in offered if choice.word == "always")


class Pending:
    """The questions that are open, oldest first."""

    def __init__(self) -> None:
        self._open: dict[str | int, Incoming] = {}
        self._first_since = 0.0

    def ask(self, message: Incoming, now: float) -> None:
        """``now``: seconds of a monotonic clock."""
        assert message.id is not None
        if not self._open:
            self._first_since = now
        self._open[message.id] = message

    def drop(self, request_id: str | int, now: float) -> Incoming | None:
        """It is answered; the question, if it was open here."""
        first = self.first
        dropped = self._open.pop(request_id, None)
        if dropped is not None and dropped is first:
            self._first_since = now
        return dropped

    @property
    def first(self) -> Incoming | None:
        return next(iter(self._open.values()), None)

    def takes_keys(self, now: float) -> bool:
        """Whether the first has been there for long enough to be seen."""
        return bool(self._open) and now - self._first_since >= SEEN_SECONDS

    def answered_by(self, key: object, now: float) -> tuple[Incoming, Choice] | None:
        """The question that a key answers, and what it says."""
        first = self.first
        choice = None if first is None or not self.takes_keys(now) else by_key(first, key)
        return None if first is None or choice is None else (first, choice)

    def __len__(self) -> int:
        return len(self._open)


def ask_above(stage: Stage, message: Incoming) -> None:
    """Print a question that is too tall for where questions are drawn."""
    item = stage.item(message.params["itemId"])
    if is_tall(stage.console, message, item):
        stage.say(drawn(message, item, keys=True))


def below(stage: Stage, message: Incoming, *, keys: bool) -> RenderableType:
    """A question as it is drawn while it is open."""
    item = stage.item(message.params["itemId"])
    return (in_brief if is_tall(stage.console, message, item) else drawn)(message, item, keys=keys)


class Asker:
    """Asks the person at the terminal, one question after the other. `listen` hears the keys."""

    def __init__(self) -> None:
        self._pending = Pending()
        self._decided: dict[str | int, trio.Event] = {}
        self._decisions: dict[str | int, Choice] = {}
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
        self._pending.ask(message, trio.current_time())
        if self._stage is not None:
            ask_above(self._stage, message)
        try:
            await decided.wait()
            return {"decision": self._decisions.pop(message.id).decision}
        finally:
            self._pending.drop(message.id, trio.current_time())
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
        keys = self._pending.takes_keys(trio.current_time())
        return drawn(question, None, keys=keys) if self._stage is None else below(self._stage, question, keys=keys)

    def _press(self, key: Key, stage: Stage) -> None:
        if self._pending.first is None and self._asking and isinstance(key, str):
            self._choose(key, stage)
            return
        now = trio.current_time()
        answered = self._pending.answered_by(key, now)
        if answered is None:
            return
        question, choice = answered
        assert question.id is not None
        self._pending.drop(question.id, now)
        self._decisions[question.id] = choice
        shown = subject(question, stage.item(question.params["itemId"]))
        stage.say(Text(f"· {shown}: {choice.said}", style="dim"))
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
