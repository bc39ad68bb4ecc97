"""What a model is sent: making its items, reading them, and the law they keep.

The law, for every request: each call has exactly one output and each output its call, in one piece behind the
response that made the calls; reasoning is followed by what it led to. `faults` says what breaks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from messages.base import CallId
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
    OutputPart,
    ReadableItem,
)
from messages.tools import ToolCall

MIN_SHOWN_SECONDS = 0.1
"""A call that was stopped at once is told as having run for this long; 0.0 would read as never started."""

ABORT_MARKER = (
    "<turn_aborted>\n"
    "The user interrupted the previous turn on purpose. What was still running then was stopped, and calls may have "
    "taken effect in part: look at the present state before you repeat any of them.\n"
    "</turn_aborted>"
)

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[ReadableItem] = msgspec.json.Decoder(ReadableItem)

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


# --- making -------------------------------------------------------------------------------------------------------


def text_item(text: str, *, role: str = "user") -> HistoryItem:
    """A message of ours: context, a marker."""
    item = MessageItem(role="developer" if role == "developer" else "user", content=(InputText(text=text),))
    return HistoryItem(kind="message", raw=_encode(item))


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
            return InputText(text=f"(the user points to the image file {part.path})")
        case SkillInput():
            return InputText(text=f"(the user points to the skill {part.name}, described in {part.path})")
        case MentionInput():
            return InputText(text=f"(the user mentions {part.name}: {part.path})")


def output_item(call: ToolCall, output: str | tuple[OutputPart, ...]) -> HistoryItem:
    """What a call came to, in the form its kind of call wants."""
    if call.freeform:
        raw = _encode(CustomToolCallOutput(call_id=call.call_id, output=output))
        return HistoryItem(kind="custom_tool_call_output", raw=raw, call_id=call.call_id)
    raw = _encode(FunctionCallOutput(call_id=call.call_id, output=output))
    return HistoryItem(kind="function_call_output", raw=raw, call_id=call.call_id)


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


def preview(parts: Iterable[UserInput]) -> str:
    """The first line's worth of an input, for a list of threads."""
    return " ".join(" ".join(part.text for part in parts if isinstance(part, TextInput)).split())


# --- reading ------------------------------------------------------------------------------------------------------


def readable(item: HistoryItem) -> ReadableItem | None:
    """The item's content; None for kinds we only pass through, and for JSON that is not what its kind promises."""
    if item.kind in ("opaque", "compaction"):
        return None
    try:
        return _decoder.decode(item.raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def is_call(item: HistoryItem) -> bool:
    """Whether the model wants something run."""
    return item.kind in _CALLS


def call_of(item: HistoryItem) -> FunctionCall | CustomToolCall | None:
    """The call an item makes, if it is a readable one."""
    read = readable(item)
    return read if isinstance(read, FunctionCall | CustomToolCall) else None


def final_items(items: Sequence[HistoryItem], *, whole: bool) -> tuple[HistoryItem, ...]:
    """Which items of a response become history.

    Of a response that was cut short, no calls: they are not run. Nowhere reasoning that is followed by nothing it led
    to: providers refuse to take it back.
    """
    kept: list[HistoryItem] = []
    follower = False
    for item in reversed(items):
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


# --- what a model is told of a call that did not end by itself ------------------------------------------------------


def aborted_output(name: str, seconds: float | None, failure: Failure | None) -> str:
    """The output of a call that its turn's end stopped. ``seconds``: how long it ran; None, it had not started.

    Source of the user's cases: the reference's two forms, one for commands and one for the rest.
    """
    by = "by user" if failure is None else f"because the turn ended: {failure.message}"
    if seconds is None:
        return f"aborted {by}, before it was started"
    shown = max(seconds, MIN_SHOWN_SECONDS)
    if name in ("exec_command", "write_stdin"):
        return f"Wall time: {shown:.1f} seconds\naborted {by}"
    return f"aborted {by} after {shown:.1f}s" if failure is None else f"aborted after {shown:.1f}s {by}"


REJECTED_OUTPUT = "rejected by user"
UNKNOWN_OUTPUT = (
    "The tool broke down while this call ran. Whether the call took effect, wholly or in part, is unknown: "
    "look at the present state before you repeat it."
)
NOT_STARTED_OUTPUT = "The tool broke down before this call was started. It had no effect and may be repeated."


def over_budget_output(limit: int) -> str:
    """The output of a call that the turn's budget left no room for."""
    return f"not run: this turn has used up its {limit} tool calls"


# --- the law --------------------------------------------------------------------------------------------------------


def faults(history: Sequence[HistoryItem]) -> tuple[str, ...]:
    """What a provider would refuse in this history; empty for a valid one."""
    found: list[str] = []
    open_calls: dict[CallId, None] = {}
    reasoning_open = False
    for index, item in enumerate(history):
        if item.kind in _CALLS:
            reasoning_open = False
            if item.call_id is None:
                found.append(f"item {index}: a call without an id")
            elif item.call_id in open_calls:
                found.append(f"item {index}: call {item.call_id} is already open")
            else:
                open_calls[item.call_id] = None
        elif item.kind in _OUTPUTS:
            if item.call_id not in open_calls:
                found.append(f"item {index}: an output of {item.call_id}, which no open call has asked for")
            else:
                del open_calls[item.call_id]
        elif item.kind == "reasoning":
            reasoning_open = True
        else:
            if open_calls and item.origin is None:
                found.append(f"item {index}: a message between calls and their outputs")
            if reasoning_open and item.origin is None:
                found.append(f"item {index}: reasoning before it led to nothing")
            reasoning_open = False
    if open_calls:
        found.append(f"calls without an output: {', '.join(open_calls)}")
    if reasoning_open:
        found.append("the last reasoning leads to nothing")
    return tuple(found)
