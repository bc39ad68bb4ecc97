"""What a model is sent: making its items and reading them.

The law they keep together is `rollout_writer/transcript.py`'s: each call has one output, behind the response that made
it, in the model's order; reasoning is followed by what it led to. What is decided here is decided there the same way,
so that a thread read back from its log goes on with the very bytes it was sent before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from actors.rollout_writer.transcript import is_call
from messages.client.item import (
    ImageInput,
    LocalImageInput,
    MentionInput,
    SkillInput,
    TextInput,
    UserInput,
)
from messages.failure import Failure
from messages.items import (
    ContentPart,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    HistoryItem,
    InputImage,
    InputText,
    MessageItem,
    Note,
    OutputPart,
    ReadableItem,
)
from messages.late import LateDecoder
from messages.tools import ToolCall

MIN_SHOWN_SECONDS = 0.1
"""A call that was stopped at once is told as having run for this long; 0.0 would read as never started."""

ABORT_MARKER = (
    "<turn_aborted>\n"
    "The user interrupted the previous turn on purpose. What was still running then was stopped, and calls may have "
    "taken effect in part: look at the present state before you repeat any of them.\n"
    "</turn_aborted>"
)

USERS_SCRIPT = (
    "<user_script>\nThe user ran this script, whose calls are in this thread; what it came to follows.\n"
    "<source>\n{source}\n</source>\n</user_script>"
)

COMMANDS = ("exec_command", "write_stdin", "shell")
"""Whose aborted calls are told in a command's words."""

UNANSWERABLE = ("local_shell_call", "tool_search_call", "tool_search_output")
"""The transcript leaves these out as well."""

_encode = msgspec.json.Encoder().encode
_decoder: LateDecoder[ReadableItem] = LateDecoder(ReadableItem)


# --- making -------------------------------------------------------------------------------------------------------


def text_item(text: str, *, role: str = "user", note: Note | msgspec.UnsetType = msgspec.UNSET) -> HistoryItem:
    """A message of ours: context, a marker."""
    speaker: Literal["developer", "user"] = "developer" if role == "developer" else "user"
    item = MessageItem(role=speaker, content=(InputText(text=text),), callboard=note)
    return HistoryItem(kind="message", raw=_encode(item))


def spawn_item(task: int, text: str) -> HistoryItem:
    """How a spawned call has ended, as it is told to the model once: its note says which."""
    return text_item(text, note=Note(spawn=task))


def user_item(parts: Iterable[UserInput]) -> HistoryItem:
    """What a person said, as one user message."""
    content = tuple(_content(part) for part in parts)
    return HistoryItem(kind="message", raw=_encode(MessageItem(role="user", content=content)))


def _content(part: UserInput) -> ContentPart:
    match part:
        case TextInput():
            return InputText(text=part.text)
        case ImageInput():
            return InputImage(image_url=part.url, detail=part.detail)
        case LocalImageInput():
            # The gateway makes data of those that clients name; what is left comes from a log written elsewhere.
            return InputText(text=f"(the user points to the image file {part.path})")
        case SkillInput():
            return InputText(text=f"(the user points to the skill {part.name}, described in {part.path})")
        case MentionInput():
            return InputText(text=f"(the user mentions {part.name}: {part.path})")


def output_item(call: ToolCall, output: str | tuple[OutputPart, ...], *, failed: bool = False) -> HistoryItem:
    """What a call came to, in the form its kind of call wants. ``failed`` is noted for wires with a flag for it.

    A person's own command is told as their words are: no model has called anything, so there is nothing that an output
    could answer. So is what a script came to, which on every wire is text that the model wrote.
    """
    if call.by == "user":
        return text_item(
            f"<user_shell_command>\n<command>\n{call.arguments}\n</command>\n"
            f"<result>\n{output if isinstance(output, str) else ''}\n</result>\n</user_shell_command>"
        )
    if call.by in ("block", "users_block"):
        return told_of_script(output, source=call.arguments if call.by == "users_block" else None)
    note = Note(failed=True) if failed else msgspec.UNSET
    if call.freeform:
        raw = _encode(CustomToolCallOutput(call_id=call.call_id, output=output, callboard=note))
        return HistoryItem(kind="custom_tool_call_output", raw=raw, call_id=call.call_id)
    raw = _encode(FunctionCallOutput(call_id=call.call_id, output=output, callboard=note))
    return HistoryItem(kind="function_call_output", raw=raw, call_id=call.call_id)


def told_of_script(output: str | tuple[OutputPart, ...], *, source: str | None = None) -> HistoryItem:
    """What a script came to, as a message of the user: so it is told on every wire.

    ``source``: of one that a person wrote; the model has not seen it.
    """
    parts = (InputText(text=output),) if isinstance(output, str) else output
    if source is not None:
        parts = (InputText(text=USERS_SCRIPT.format(source=source)), *parts)
    return HistoryItem(kind="message", raw=_encode(MessageItem(role="user", content=parts)))


def output_bytes(output: str | tuple[OutputPart, ...]) -> int:
    """About how many bytes of a turn's budget an output uses."""
    if isinstance(output, str):
        return len(output.encode("utf-8", "surrogatepass"))
    return sum(
        len((part.text if isinstance(part, InputText) else part.image_url).encode("utf-8", "surrogatepass"))
        for part in output
    )


def input_chars(parts: Iterable[UserInput]) -> int:
    """Characters of text in an input."""
    return sum(len(part.text) for part in parts if isinstance(part, TextInput))


# --- reading ------------------------------------------------------------------------------------------------------


def readable(item: HistoryItem) -> ReadableItem | None:
    """The item's content; None for kinds we only pass through, and for JSON that is not what its kind promises."""
    if item.kind in ("opaque", "compaction"):
        return None
    try:
        return _decoder.decode(item.raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def call_of(item: HistoryItem) -> FunctionCall | CustomToolCall | None:
    """The call an item makes, if it is a readable one."""
    read = readable(item)
    return read if isinstance(read, FunctionCall | CustomToolCall) else None


def final_items(items: Sequence[HistoryItem], *, whole: bool) -> tuple[HistoryItem, ...]:
    """Which items of a response become history.

    Of a response that was cut short, no calls: they are not run. Nowhere reasoning that is followed by nothing it led
    to, which providers refuse to take back, nor calls of forms that no wire of ours can answer.
    """
    kept: list[HistoryItem] = []
    follower = False
    for item in reversed(items):
        if item.kind == "opaque" and _type_of(item) in UNANSWERABLE:
            continue
        if item.kind == "reasoning":
            if not follower:
                continue
        elif is_call(item) and not whole:
            follower = False
            continue
        else:
            follower = True
        kept.append(item)
    kept.reverse()
    return tuple(kept)


class _Typed(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""


_type_decoder: LateDecoder[_Typed] = LateDecoder(_Typed)


def _type_of(item: HistoryItem) -> str:
    try:
        return _type_decoder.decode(item.raw).type
    except (msgspec.DecodeError, RecursionError):
        return ""


# --- what a model is told of a call that did not end by itself ------------------------------------------------------


def aborted_output(name: str, seconds: float | None, failure: Failure | None) -> str:
    """The output of a call that its turn's end stopped. ``seconds``: how long it ran; None, it had not started.

    Source of the user's cases: the reference's two forms, one for commands and one for the rest.
    """
    by = "by user" if failure is None else f"because the turn ended: {failure.message}"
    if seconds is None:
        return f"aborted {by}, before it was started"
    shown = max(seconds, MIN_SHOWN_SECONDS)
    if name in COMMANDS:
        return f"Wall time: {shown:.1f} seconds\naborted {by}"
    return f"aborted {by} after {shown:.1f}s" if failure is None else f"aborted after {shown:.1f}s {by}"


UNKNOWN_OUTPUT = (
    "The tool broke down while this call ran. Whether the call took effect, wholly or in part, is unknown: "
    "look at the present state before you repeat it."
)
EXPIRED_OUTPUT = "Nobody answered in time whether this may be done. It was not done."
NOT_STARTED_OUTPUT = "The tool broke down before this call was started. It had no effect and may be repeated."


def over_budget_output(limit: int) -> str:
    """The output of a call that the turn's budget left no room for."""
    return f"not run: this turn has used up its {limit} tool calls"
