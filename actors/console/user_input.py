"""Questions of the model to people: shown one after the other, answered by a number or in words of one's own."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from actors.console.client import Incoming

METHOD: Final = "item/tool/requestUserInput"

SKIP: Final = "/skip"
"""Typed instead of an answer: the model goes on without one."""


def asks_user(message: Incoming) -> bool:
    """Whether a request is one of these."""
    return message.id is not None and message.method == METHOD


class Answering:
    """One request, on its way to being answered."""

    def __init__(self, message: Incoming) -> None:
        self.message = message
        self._answers: dict[str, dict[str, list[str]]] = {}

    @property
    def _left(self) -> list[dict[str, Any]]:
        questions: list[dict[str, Any]] = self.message.params["questions"]
        return [each for each in questions if each["id"] not in self._answers]

    def offers(self, key: str) -> bool:
        """Whether this is the number of an answer to the question of the moment."""
        return key.isascii() and key.isdigit() and 1 <= int(key) <= len(self._left[0].get("options") or ())

    def drawn(self, *, how: str) -> RenderableType:
        """The question of the moment. ``how``: in words, how it is answered."""
        asked = self._left[0]
        rows: list[RenderableType] = [
            Text.assemble(("? ", "bold yellow"), (f"{asked['header']}: ", "yellow"), (asked["question"], "bold"))
        ]
        rows += [
            Text.assemble((f"  [{number}] ", "cyan"), option["label"], (f"  {option['description']}", "dim"))
            for number, option in enumerate(asked.get("options") or (), 1)
        ]
        if (place := self.message.params.get("script")) is not None:
            rows.append(Text(f"  script line {place['line']}: {place['source']}", style="yellow"))
        if how:
            rows.append(Text(f"  {how}", style="cyan"))
        return Group(*rows)

    def take(self, line: str) -> dict[str, Any] | None:
        """Answer the question of the moment; the result for the daemon once nothing is left to be asked."""
        line = line.strip()
        if line == SKIP:
            return {"decision": "decline"}
        asked = self._left[0]
        options = asked.get("options") or ()
        chosen = int(line) if line.isascii() and line.isdigit() and len(line) < 3 else 0
        answer = options[chosen - 1]["label"] if 1 <= chosen <= len(options) else line
        self._answers[asked["id"]] = {"answers": [answer]}
        return None if self._left else {"answers": self._answers}

    def summary(self) -> str:
        """What was asked and answered, in one line."""
        questions: list[dict[str, Any]] = self.message.params["questions"]
        return "; ".join(
            f"{each['header']}: {', '.join(self._answers.get(each['id'], {}).get('answers', ())) or 'no answer'}"
            for each in questions
        )
