"""JSONL lines back to records.

Reading never raises for what a line holds: it gives a `Line`, or a `Skipped` that says why not. The head of a line is
decoded first and its payload by type, so that an unknown payload costs next to nothing. Items keep their exact bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, assert_never

import msgspec
from msgspec.json import Encoder

from actors.rollout_writer import forms
from actors.rollout_writer.shown import show
from messages.approval import ApprovalPolicy
from messages.base import TurnId
from messages.items import HistoryItem, ItemKind, Origin
from messages.late import LateDecoder
from messages.log import (
    Compacted,
    ItemShown,
    Record,
    ResponseItem,
    SessionMeta,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import USUAL_BUDGET, ThreadSettings

UNKNOWN_ORIGIN = Origin(provider="", model="", wire="responses")
"""On what a model said in a file that does not say which model: the reader of the whole file fills it in."""

_STRAY_FIELD = "internal_chat_message_metadata_passthrough"
"""Their bookkeeping inside a recorded item; a provider would refuse it as an unknown parameter."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One whole record as read. ``paired``: it was written as the second half of an item's two records."""

    ordinal: int | None
    timestamp: str
    record: Record
    paired: bool = False
    base: forms.HistoryBase | None = None


SkipReason = Literal["unknown_type", "unknown_event", "unreadable"]


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A line that tells us nothing: not for us, or damaged."""

    ordinal: int | None
    reason: SkipReason
    detail: str


_head: LateDecoder[forms.Head] = LateDecoder(forms.Head)
_item_peek: LateDecoder[forms.ItemPeek] = LateDecoder(forms.ItemPeek)
_item_note: LateDecoder[forms.ItemNote] = LateDecoder(forms.ItemNote)
_meta: LateDecoder[forms.Meta] = LateDecoder(forms.Meta)
_context: LateDecoder[forms.Context] = LateDecoder(forms.Context)
_event: LateDecoder[forms.Event] = LateDecoder(forms.Event)
_event_peek: LateDecoder[forms.EventPeek] = LateDecoder(forms.EventPeek)
_compacted: LateDecoder[forms.CompactedForm] = LateDecoder(forms.CompactedForm)
_passed: LateDecoder[forms.Passed] = LateDecoder(forms.Passed)
_any: LateDecoder[dict[str, Any]] = LateDecoder(dict[str, Any])

_encode = Encoder().encode


def parse_time(text: str) -> float | None:
    """Unix seconds of an RFC 3339 time; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def decode(line: bytes) -> Line | Skipped:
    """What one line (with or without its newline) says. Raises nothing."""
    try:
        if not line.isascii():
            line.decode()  # a payload that is only passed through would never be looked at again
        head = _head.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Skipped(ordinal=None, reason="unreadable", detail=f"not a record ({error})")
    read = _READERS.get(head.type)
    if read is None:
        return Skipped(ordinal=head.ordinal, reason="unknown_type", detail=head.type)
    try:
        return read(head)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _why_not(head, error)


def decode_ordinal(line: bytes) -> int | None:
    """The ordinal of a whole record, whatever its type; None if it has none or is damaged."""
    try:
        line.decode()
        return _head.decode(line).ordinal
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def kind_of(type_: str) -> ItemKind:
    """Which kind of history item a Responses type is; what we do not know is opaque."""
    return _KINDS.get(type_, "opaque")


_KINDS: dict[str, ItemKind] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
    "function_call_output": "function_call_output",
    "custom_tool_call": "custom_tool_call",
    "custom_tool_call_output": "custom_tool_call_output",
    "compaction": "compaction",
}


def history_item(raw: bytes, origin: Origin | None, *, noted: bool) -> HistoryItem:
    """A recorded item. ``noted``: the file says where it came from; otherwise its type tells whether a model made it.

    Raises what msgspec raises when it is no item.
    """
    peek = _item_peek.decode(raw)
    kind = kind_of(peek.type)
    if not noted:
        if _STRAY_FIELD.encode() in raw:
            fields = _any.decode(raw)
            fields.pop(_STRAY_FIELD, None)
            raw = _encode(fields)
        if peek.role == "assistant" or kind in ("reasoning", "function_call", "custom_tool_call", "opaque"):
            origin = UNKNOWN_ORIGIN
    return HistoryItem(kind=kind, raw=raw, call_id=peek.call_id, origin=origin)


def _read_response_item(head: forms.Head) -> Line:
    metadata = bytes(head.metadata)
    note = _item_note.decode(metadata) if metadata and metadata != b"null" else forms.ItemNote()
    item = history_item(bytes(head.payload), note.origin, noted=note.turn_id is not None)
    record = ResponseItem(
        turn_id=note.turn_id or TurnId(""), item=item, item_id=note.item_id, response_id=note.response_id
    )
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record)


def _read_event(head: forms.Head) -> Line | Skipped:
    event = _event.decode(head.payload)
    record: Record
    paired = False
    match event:
        case forms.ItemCompleted():
            record, paired = _shown(event, head.timestamp)
        case forms.TaskStarted(callboard=note):
            if note is msgspec.UNSET:
                started = event.started_at if event.started_at is not None else parse_time(head.timestamp)
                record = TurnOpened(turn_id=event.turn_id, submission_id="", started_at=started or 0.0)
            else:
                record = TurnOpened(
                    turn_id=event.turn_id,
                    submission_id=note.submission_id,
                    started_at=note.started_at,
                    budget=note.budget or USUAL_BUDGET,
                    output_schema=note.output_schema,
                )
        case forms.TaskComplete(callboard=closed):
            if closed is msgspec.UNSET:
                closed = TurnClosed(
                    turn_id=event.turn_id,
                    status="completed",
                    completed_at=event.completed_at or parse_time(head.timestamp) or 0.0,
                    last_message=event.last_agent_message,
                )
            record = closed
        case forms.TurnAborted(callboard=closed):
            if closed is msgspec.UNSET:
                closed = TurnClosed(
                    turn_id=event.turn_id or TurnId(""),
                    status="interrupted",
                    completed_at=event.completed_at or parse_time(head.timestamp) or 0.0,
                )
            record = closed
        case forms.TokenCount(info=info):
            if info is None:
                return Skipped(ordinal=head.ordinal, reason="unknown_event", detail="token_count of rate limits only")
            record = UsageRecorded(
                turn_id=event.turn_id,
                last=_read_usage(info.last_token_usage),
                total=_read_usage(info.total_token_usage),
            )
        case _:
            assert_never(event)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record, paired=paired)


def _shown(event: forms.ItemCompleted, timestamp: str) -> tuple[ItemShown, bool]:
    item = show(event.item)
    note = event.callboard
    at_ms = event.completed_at_ms
    if at_ms is None:
        at_ms = round((parse_time(timestamp) or 0.0) * 1000)
    if note is not msgspec.UNSET:
        return ItemShown(turn_id=event.turn_id, item=item, at_ms=at_ms, partial=note.partial), note.paired
    item = msgspec.structs.replace(item, started_at_ms=event.started_at_ms, completed_at_ms=event.completed_at_ms)
    return ItemShown(turn_id=event.turn_id, item=item, at_ms=at_ms), False


def _read_usage(usage: forms.Usage) -> TokenUsage:
    return TokenUsage(
        input=usage.input_tokens,
        cached_input=usage.cached_input_tokens,
        cache_write_input=usage.cache_write_input_tokens,
        output=usage.output_tokens,
        reasoning_output=usage.reasoning_output_tokens,
        total=usage.total_tokens,
    )


def _read_meta(head: forms.Head) -> Line:
    meta = _decode_noted(_meta, forms.Meta, head.payload)
    git = meta.git or forms.Git()
    note = meta.callboard
    base = meta.base_instructions.text if isinstance(meta.base_instructions, forms.Text) else meta.base_instructions
    record = SessionMeta(
        thread_id=meta.id,
        created_at=(
            note.created_at
            if note is not msgspec.UNSET
            else parse_time(meta.timestamp) or parse_time(head.timestamp) or 0.0
        ),
        cwd=meta.cwd,
        source=meta.source if isinstance(meta.source, str) else "unknown",
        originator=meta.originator,
        thread_source=meta.thread_source if isinstance(meta.thread_source, str) else None,
        cli_version=meta.cli_version,
        settings=(
            note.settings
            if note is not msgspec.UNSET
            else ThreadSettings(
                provider=meta.model_provider or "openai", model="", cwd=meta.cwd, base_instructions=base or None
            )
        ),
        git_branch=git.branch,
        git_commit=git.commit_hash,
        git_origin=git.repository_url,
    )
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record, base=meta.history_base)


def _read_context(head: forms.Head) -> Line:
    context = _decode_noted(_context, forms.Context, head.payload)
    note = context.callboard
    settings = (
        note.settings
        if note is not msgspec.UNSET
        else ThreadSettings(
            provider="",
            model=context.model,
            cwd=context.cwd,
            approval_policy=_read_policy(context.approval_policy),
            reasoning_effort=context.effort,
            reasoning_summary=None if context.summary == "auto" else context.summary,
        )
    )
    record = TurnContext(turn_id=context.turn_id, settings=settings)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record)


def _read_policy(kept: Any) -> ApprovalPolicy:
    """A policy of another writer; one that we do not know is read as the one that asks."""
    policy: ApprovalPolicy
    try:
        policy = msgspec.convert(kept, ApprovalPolicy)
    except msgspec.ValidationError:
        policy = "on-request"
    return policy


def _decode_noted(decoder: LateDecoder[Any], type_: type, payload: msgspec.Raw) -> Any:
    """Decode; where our own note says more than this version understands, do without the note."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        fields = _any.decode(payload)
        if fields.pop("callboard", None) is None:
            raise
        return msgspec.convert(fields, type_)


def _read_compacted(head: forms.Head) -> Line:
    compacted = _compacted.decode(head.payload)
    replacement = compacted.replacement_history
    if replacement is None:
        # Their older form: the summary itself is all that is left, as something the model said.
        message = {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": compacted.message}],
        }
        replacement = (msgspec.Raw(_encode(message)),)
    notes = compacted.callboard
    if notes is msgspec.UNSET or len(notes) != len(replacement):
        history = tuple(history_item(bytes(raw), None, noted=False) for raw in replacement)
    else:
        history = tuple(
            history_item(bytes(raw), note.origin, noted=True) for raw, note in zip(replacement, notes, strict=True)
        )
    record = Compacted(turn_id=compacted.turn_id, message=compacted.message, history=history)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record)


def _read_passed(head: forms.Head) -> Line:
    passed = _passed.decode(head.payload)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=passed.record, paired=passed.paired)


def _reader_of(type_: type) -> Callable[[forms.Head], Line]:
    decoder: LateDecoder[Any] = LateDecoder(type_)

    def read(head: forms.Head) -> Line:
        return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=decoder.decode(head.payload))

    return read


_READERS: dict[str, Callable[[forms.Head], Line | Skipped]] = {
    "response_item": _read_response_item,
    "event_msg": _read_event,
    "session_meta": _read_meta,
    "turn_context": _read_context,
    "compacted": _read_compacted,
    forms.PASSED: _read_passed,
    **{name: _reader_of(type_) for type_, name in forms.OURS.items()},
}

_KNOWN_EVENTS = ("task_started", "task_complete", "turn_aborted", "token_count", "item_completed")


def _why_not(head: forms.Head, error: Exception) -> Skipped:
    """Tell what is not for us from what is damaged."""
    if head.type == "event_msg":
        try:
            peek = _event_peek.decode(head.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            peek = forms.EventPeek()
        if peek.type not in _KNOWN_EVENTS:
            return Skipped(ordinal=head.ordinal, reason="unknown_event", detail=peek.type)
        if peek.type == "item_completed" and "$.item.type" in str(error):
            return Skipped(ordinal=head.ordinal, reason="unknown_event", detail="item_completed of an unknown item")
    return Skipped(ordinal=head.ordinal, reason="unreadable", detail=f"{head.type}: {error}")
