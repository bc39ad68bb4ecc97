"""The tool calls of one response, put together from their deltas.

A slot is found by ``index`` where the server gives one. Servers that get the index wrong are told by what else a delta
carries: another id at an open index is another call (Cerebras numbers parallel calls 0 and 0), and so is a whole second
object after a whole first one. Without an index, an id or a name begins a call and anything else goes on with the last
(Gemini, Mistral). Id and name are set once and never appended to: some proxies repeat both in every delta.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_CALLS = 1024
"""In one response: as many as nobody asks for; a server that opens more is broken or hostile."""


class CallSlot:
    """One call so far."""

    __slots__ = ("arguments", "custom", "extra_content", "id", "name", "slot")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        """The item's slot."""
        self.id = ""
        self.name = ""
        self.custom = False
        """A freeform call: `arguments` is its input."""
        self.arguments: list[str] = []
        self.extra_content: Any = None

    def text(self) -> str:
        """The arguments as they came."""
        pieces = self.arguments
        if len(pieces) > 1:
            pieces[:] = ("".join(pieces),)
        return pieces[0] if pieces else ""


class Part:
    """What one delta says of one call, in one shape."""

    __slots__ = ("arguments", "custom", "extra_content", "id", "index", "name")

    def __init__(self, delta: dict[str, Any]) -> None:
        function = delta.get("function")
        custom = delta.get("custom")
        self.custom = isinstance(custom, dict) or delta.get("type") == "custom"
        inner = custom if isinstance(custom, dict) else function if isinstance(function, dict) else {}
        self.index = _index(delta.get("index"))
        self.id = _text(delta.get("id"))
        self.name = _text(inner.get("name"))
        self.arguments = _arguments(inner.get("input" if self.custom else "arguments"))
        self.extra_content = delta.get("extra_content") or inner.get("extra_content")

    @property
    def begins(self) -> bool:
        """Whether, without an index, this is a call of its own."""
        return bool(self.id or self.name)


class Calls:
    """All calls of a response, in the order they began."""

    def __init__(self) -> None:
        self.slots: list[CallSlot] = []
        self._by_index: dict[int, CallSlot] = {}

    def find(self, part: Part) -> CallSlot | None:
        """The call that ``part`` goes on with; None when it begins one."""
        if part.index is None:
            return self._without_index(part)
        slot = self._by_index.get(part.index)
        if slot is None:
            return None
        if part.id and slot.id and part.id != slot.id:
            return None
        if not part.id and part.name and _is_another(slot, part):
            return None
        return slot

    def begin(self, part: Part, slot: int) -> CallSlot:
        """A new call for ``part``, whose item has ``slot``."""
        call = CallSlot(slot)
        self.slots.append(call)
        if part.index is not None:
            self._by_index[part.index] = call
        return call

    def _without_index(self, part: Part) -> CallSlot | None:
        if not self.slots:
            return None
        last = self.slots[-1]
        if part.id:
            return next((slot for slot in reversed(self.slots) if slot.id == part.id), None)
        return None if part.name else last


def add(call: CallSlot, part: Part) -> None:
    """Put ``part`` into its call."""
    if part.id and not call.id:
        call.id = part.id
    if part.name and not call.name:
        call.name = part.name
    if part.custom:
        call.custom = True
    if part.extra_content is not None:
        call.extra_content = part.extra_content
    if part.arguments and not _is_repeated(call, part.arguments):
        call.arguments.append(part.arguments)


def _is_another(slot: CallSlot, part: Part) -> bool:
    """Whether a delta that repeats an index, without an id, is a second call: its own whole object says so."""
    return (
        part.arguments.startswith("{")
        and _is_whole(slot.text())
        and (part.name != slot.name or part.arguments != slot.text())
    )


def _is_repeated(call: CallSlot, arguments: str) -> bool:
    """Whether a server sends the whole arguments once more at the end (vLLM, when it flushes its parser)."""
    return (len(arguments) > 1 and arguments[0] == "{" and call.text() == arguments and not call.custom) and _is_whole(
        arguments
    )


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _index(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _arguments(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
