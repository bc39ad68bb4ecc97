"""Records to JSONL lines and back.

A line is ``{"timestamp","ordinal","type","payload"[,"metadata"]}`` and a newline; without the newline it does not
exist. Types and payloads follow the Codex rollout, see docs/rollouts.md for the table. What their form cannot say is
in a field ``callboard`` of the payload, which their reader ignores; what they have no word for at all is a record
type with the prefix ``callboard_``, which their reader skips.

Reading never raises for what a line holds: it gives a `Line`, or a `Skipped` that says why not. The head of a line is
decoded first and its payload by type, so that an unknown payload costs next to nothing.

Rejected: one big tagged union for whole lines (an item's exact bytes would be lost: what is replayed to a provider
must be what was recorded, byte for byte), and checksums per line (a torn line is not valid JSON with a newline, and
a flipped bit is the file system's business).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, assert_never

import msgspec
from msgspec.json import Decoder, Encoder

from actors.rollout_writer.shown import KeptItem, keep, show
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.items import HistoryItem, ItemKind, Origin
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    Compacted,
    ItemShown,
    MessageQuarantined,
    Record,
    ResponseItem,
    SessionMeta,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolStarted,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import ThreadSettings

UNKNOWN_ORIGIN = Origin(provider="", model="", wire="responses")
"""On what a model said in a file that does not say which model: the reader of the whole file fills it in."""

_STRAY_FIELD = "internal_chat_message_metadata_passthrough"
"""Their bookkeeping inside a recorded item; a provider would refuse it as an unknown parameter."""


class UnencodableError(ValueError):
    """The records break the format's own rules: a defect of whoever made them, never of the disk."""


class HistoryBase(msgspec.Struct, frozen=True, kw_only=True):
    """A fork without a copy: the conversation begins with this much of another file."""

    thread_id: ThreadId
    end_byte_offset: int
    end_ordinal_exclusive: int | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One whole record as read. ``paired``: it was written as the second half of an item's two records."""

    ordinal: int | None
    timestamp: str
    record: Record
    paired: bool = False
    base: HistoryBase | None = None


SkipReason = Literal["unknown_type", "unknown_event", "unreadable"]


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A line that tells us nothing: not for us, or damaged."""

    ordinal: int | None
    reason: SkipReason
    detail: str


# --- the forms of payloads --------------------------------------------------------------------------------------


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    payload: msgspec.Raw
    ordinal: int | None = None
    timestamp: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"")


class _ItemPeek(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a Responses item as its place in a history depends on."""

    type: str
    call_id: CallId | None = None
    role: str | None = None


class _ItemNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our `metadata` of a response_item, or of each item of a replacement history."""

    turn_id: TurnId | None = None
    item_id: ItemId | None = None
    response_id: str | None = None
    origin: Origin | None = None


class _MetaNote(msgspec.Struct, frozen=True, kw_only=True):
    created_at: float
    settings: ThreadSettings


class _Text(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""


class _Git(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    commit_hash: str | None = None
    branch: str | None = None
    repository_url: str | None = None


class _Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: ThreadId
    session_id: str | None = None
    timestamp: str = ""
    cwd: str = ""
    originator: str = ""
    cli_version: str = ""
    source: Any = None
    model_provider: str | None = None
    base_instructions: _Text | str | None = None
    history_mode: str | None = None
    history_base: HistoryBase | None = None
    git: _Git | None = None
    callboard: _MetaNote | msgspec.UnsetType = msgspec.UNSET


class _ContextNote(msgspec.Struct, frozen=True, kw_only=True):
    settings: ThreadSettings


class _Context(msgspec.Struct, frozen=True, kw_only=True):
    turn_id: TurnId = TurnId("")
    cwd: str = ""
    approval_policy: Any = None
    sandbox_policy: Any = None
    model: str = ""
    effort: str | None = None
    summary: str | None = None
    callboard: _ContextNote | msgspec.UnsetType = msgspec.UNSET


class _OpenedNote(msgspec.Struct, frozen=True, kw_only=True):
    submission_id: str
    started_at: float


class _TaskStarted(msgspec.Struct, frozen=True, kw_only=True, tag="task_started"):
    turn_id: TurnId = TurnId("")
    started_at: int | None = None
    model_context_window: int | None = None
    callboard: _OpenedNote | msgspec.UnsetType = msgspec.UNSET


class _TaskComplete(msgspec.Struct, frozen=True, kw_only=True, tag="task_complete"):
    turn_id: TurnId = TurnId("")
    last_agent_message: str | None = None
    completed_at: int | None = None
    callboard: TurnClosed | msgspec.UnsetType = msgspec.UNSET


class _TurnAborted(msgspec.Struct, frozen=True, kw_only=True, tag="turn_aborted"):
    turn_id: TurnId | None = None
    reason: str = "interrupted"
    completed_at: int | None = None
    callboard: TurnClosed | msgspec.UnsetType = msgspec.UNSET


class _Usage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = 0


class _UsageInfo(msgspec.Struct, frozen=True, kw_only=True):
    total_token_usage: _Usage
    last_token_usage: _Usage = _Usage()
    model_context_window: int | None = None


class _TokenCount(msgspec.Struct, frozen=True, kw_only=True, tag="token_count"):
    info: _UsageInfo | None = None
    rate_limits: Any = None
    turn_id: TurnId = TurnId("")


class _ShownNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    partial: bool = False
    paired: bool = False


class _ItemCompleted(msgspec.Struct, frozen=True, kw_only=True, tag="item_completed", omit_defaults=True):
    item: KeptItem
    thread_id: str = ""
    turn_id: TurnId = TurnId("")
    started_at_ms: int | None = None
    completed_at_ms: int | None = None
    callboard: _ShownNote | msgspec.UnsetType = msgspec.UNSET


_Event = _TaskStarted | _TaskComplete | _TurnAborted | _TokenCount | _ItemCompleted


class _Compacted(msgspec.Struct, frozen=True, kw_only=True):
    message: str = ""
    replacement_history: tuple[msgspec.Raw, ...] | None = None
    turn_id: TurnId = TurnId("")
    callboard: tuple[_ItemNote, ...] | msgspec.UnsetType = msgspec.UNSET


class _EventPeek(msgspec.Struct, frozen=True, kw_only=True):
    type: str = "?"


class _Passed(msgspec.Struct, frozen=True, kw_only=True):
    record: TerminalPassed
    paired: bool = False


_head: Decoder[_Head] = Decoder(_Head)
_item_peek: Decoder[_ItemPeek] = Decoder(_ItemPeek)
_item_note: Decoder[_ItemNote] = Decoder(_ItemNote)
_meta: Decoder[_Meta] = Decoder(_Meta)
_context: Decoder[_Context] = Decoder(_Context)
_event: Decoder[_Event] = Decoder(_Event)
_event_peek: Decoder[_EventPeek] = Decoder(_EventPeek)
_compacted: Decoder[_Compacted] = Decoder(_Compacted)
_passed: Decoder[_Passed] = Decoder(_Passed)
_raw: Decoder[msgspec.Raw] = Decoder(msgspec.Raw)
_any: Decoder[dict[str, Any]] = Decoder(dict[str, Any])

Ours = (
    SteerAccepted | ToolStarted | ApprovalAsked | ApprovalAnswered | ThreadNamed | TextCheckpoint | MessageQuarantined
)
"""Records that the other reader has no word for, kept as they are."""

_OURS: dict[type, str] = {
    SteerAccepted: "callboard_steer_accepted",
    ToolStarted: "callboard_tool_started",
    ApprovalAsked: "callboard_approval_asked",
    ApprovalAnswered: "callboard_approval_answered",
    ThreadNamed: "callboard_thread_named",
    TextCheckpoint: "callboard_text_checkpoint",
    MessageQuarantined: "callboard_message_quarantined",
}
_PASSED = "callboard_terminal_passed"

_encode = Encoder().encode


# --- times ------------------------------------------------------------------------------------------------------


def format_time(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds: ``2026-11-21T01:02:03.456Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def parse_time(text: str) -> float | None:
    """Unix seconds of an RFC 3339 time; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


# --- writing ----------------------------------------------------------------------------------------------------


def encode(records: Sequence[Record], *, thread_id: str, first_ordinal: int, at: float) -> list[bytes]:
    """One line per record, newline included.

    Raises UnencodableError when an item's two records are not side by side or an item is not JSON.
    """
    stamp = format_time(at)
    lines: list[bytes] = []
    awaited: ItemId | None = None
    for ordinal, record in enumerate(records, first_ordinal):
        paired = awaited is not None
        if paired and not (isinstance(record, ItemShown | TerminalPassed) and record.item.id == awaited):
            break
        awaited = record.item_id if isinstance(record, ResponseItem) else None
        type_, payload, metadata = _encode_record(record, thread_id, paired=paired)
        tail = b"}\n" if metadata is None else b',"metadata":' + metadata + b"}\n"
        head = f'{{"timestamp":"{stamp}","ordinal":{ordinal},"type":"{type_}","payload":'
        lines.append(head.encode() + payload + tail)
    if awaited is not None:
        raise UnencodableError(f"item {awaited!r}: its shown record must directly follow its response_item")
    return lines


def _encode_record(record: Record, thread_id: str, *, paired: bool) -> tuple[str, bytes, bytes | None]:
    """Type, payload and metadata."""
    match record:
        case ResponseItem():
            item = record.item
            note = _ItemNote(
                turn_id=record.turn_id, item_id=record.item_id, response_id=record.response_id, origin=item.origin
            )
            return "response_item", _one_line(item.raw), _encode(note)
        case ItemShown():
            shown = _ItemCompleted(
                thread_id=thread_id,
                turn_id=record.turn_id,
                item=keep(record.item),
                started_at_ms=record.item.started_at_ms,
                completed_at_ms=record.at_ms,
                callboard=_ShownNote(partial=record.partial, paired=paired),
            )
            return "event_msg", _encode(shown), None
        case TurnOpened():
            opened = _TaskStarted(
                turn_id=record.turn_id,
                started_at=int(record.started_at),
                callboard=_OpenedNote(submission_id=record.submission_id, started_at=record.started_at),
            )
            return "event_msg", _encode(opened), None
        case TurnClosed():
            return "event_msg", _encode(_closed(record)), None
        case UsageRecorded():
            info = _UsageInfo(total_token_usage=_keep_usage(record.total), last_token_usage=_keep_usage(record.last))
            return "event_msg", _encode(_TokenCount(info=info, turn_id=record.turn_id)), None
        case TurnContext():
            return "turn_context", _encode(_keep_context(record)), None
        case SessionMeta():
            return "session_meta", _encode(_keep_meta(record)), None
        case Compacted():
            compacted = _Compacted(
                message=record.message,
                replacement_history=tuple(msgspec.Raw(_one_line(item.raw)) for item in record.history),
                turn_id=record.turn_id,
                callboard=tuple(_ItemNote(origin=item.origin) for item in record.history),
            )
            return "compacted", _encode(compacted), None
        case TerminalPassed():
            return _PASSED, _encode(_Passed(record=record, paired=paired)), None
        case (
            SteerAccepted()
            | ToolStarted()
            | ApprovalAsked()
            | ApprovalAnswered()
            | ThreadNamed()
            | TextCheckpoint()
            | MessageQuarantined()
        ):
            return _OURS[type(record)], _encode(record), None
        case _:
            assert_never(record)


def _one_line(raw: bytes) -> bytes:
    """An item's JSON as it can stand in a line. A line break in JSON is only ever space between its tokens."""
    try:
        _raw.decode(raw)
        raw.decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnencodableError(f"a history item is not JSON ({error})") from error
    return raw.replace(b"\n", b" ") if b"\n" in raw else raw


def _closed(record: TurnClosed) -> _TaskComplete | _TurnAborted:
    at = int(record.completed_at)
    if record.status == "interrupted":
        return _TurnAborted(turn_id=record.turn_id, completed_at=at, callboard=record)
    return _TaskComplete(
        turn_id=record.turn_id, last_agent_message=record.last_message, completed_at=at, callboard=record
    )


def _keep_context(record: TurnContext) -> dict[str, Any]:
    settings = record.settings
    return {
        "turn_id": record.turn_id,
        "cwd": settings.cwd,
        "approval_policy": settings.approval_policy,
        "sandbox_policy": {"type": settings.sandbox_mode},
        "model": settings.model,
        "effort": settings.reasoning_effort,
        "summary": settings.reasoning_summary or "auto",
        "callboard": {"settings": settings},
    }


def _keep_meta(record: SessionMeta) -> _Meta:
    base = record.settings.base_instructions
    git = _Git(commit_hash=record.git_commit, branch=record.git_branch, repository_url=record.git_origin)
    return _Meta(
        id=record.thread_id,
        session_id=record.thread_id,
        timestamp=format_time(record.created_at),
        cwd=record.cwd,
        originator=record.originator,
        cli_version=record.cli_version,
        source=record.source,
        model_provider=record.settings.provider,
        base_instructions=None if base is None else _Text(text=base),
        # "paginated" is their word for: items are shown from item_completed, not guessed from response_item.
        history_mode="paginated",
        git=git if git != _Git() else None,
        callboard=_MetaNote(created_at=record.created_at, settings=record.settings),
    )


def _keep_usage(usage: TokenUsage) -> _Usage:
    return _Usage(
        input_tokens=usage.input,
        cached_input_tokens=usage.cached_input,
        cache_write_input_tokens=usage.cache_write_input,
        output_tokens=usage.output,
        reasoning_output_tokens=usage.reasoning_output,
        total_tokens=usage.total,
    )


# --- reading ----------------------------------------------------------------------------------------------------


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


def _read_response_item(head: _Head) -> Line:
    metadata = bytes(head.metadata)
    note = _item_note.decode(metadata) if metadata and metadata != b"null" else _ItemNote()
    item = history_item(bytes(head.payload), note.origin, noted=note.turn_id is not None)
    record = ResponseItem(
        turn_id=note.turn_id or TurnId(""), item=item, item_id=note.item_id, response_id=note.response_id
    )
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record)


def _read_event(head: _Head) -> Line | Skipped:
    event = _event.decode(head.payload)
    record: Record
    paired = False
    match event:
        case _ItemCompleted():
            record, paired = _shown(event, head.timestamp)
        case _TaskStarted(callboard=note):
            if note is msgspec.UNSET:
                started = event.started_at if event.started_at is not None else parse_time(head.timestamp)
                record = TurnOpened(turn_id=event.turn_id, submission_id="", started_at=started or 0.0)
            else:
                record = TurnOpened(turn_id=event.turn_id, submission_id=note.submission_id, started_at=note.started_at)
        case _TaskComplete(callboard=closed):
            if closed is msgspec.UNSET:
                closed = TurnClosed(
                    turn_id=event.turn_id,
                    status="completed",
                    completed_at=event.completed_at or parse_time(head.timestamp) or 0.0,
                    last_message=event.last_agent_message,
                )
            record = closed
        case _TurnAborted(callboard=closed):
            if closed is msgspec.UNSET:
                closed = TurnClosed(
                    turn_id=event.turn_id or TurnId(""),
                    status="interrupted",
                    completed_at=event.completed_at or parse_time(head.timestamp) or 0.0,
                )
            record = closed
        case _TokenCount(info=info):
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


def _shown(event: _ItemCompleted, timestamp: str) -> tuple[ItemShown, bool]:
    item = show(event.item)
    note = event.callboard
    at_ms = event.completed_at_ms
    if at_ms is None:
        at_ms = round((parse_time(timestamp) or 0.0) * 1000)
    if note is not msgspec.UNSET:
        return ItemShown(turn_id=event.turn_id, item=item, at_ms=at_ms, partial=note.partial), note.paired
    item = msgspec.structs.replace(item, started_at_ms=event.started_at_ms, completed_at_ms=event.completed_at_ms)
    return ItemShown(turn_id=event.turn_id, item=item, at_ms=at_ms), False


def _read_usage(usage: _Usage) -> TokenUsage:
    return TokenUsage(
        input=usage.input_tokens,
        cached_input=usage.cached_input_tokens,
        cache_write_input=usage.cache_write_input_tokens,
        output=usage.output_tokens,
        reasoning_output=usage.reasoning_output_tokens,
        total=usage.total_tokens,
    )


def _read_meta(head: _Head) -> Line:
    meta = _decode_noted(_meta, _Meta, head.payload)
    git = meta.git or _Git()
    note = meta.callboard
    base = meta.base_instructions.text if isinstance(meta.base_instructions, _Text) else meta.base_instructions
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


def _read_context(head: _Head) -> Line:
    context = _decode_noted(_context, _Context, head.payload)
    note = context.callboard
    settings = (
        note.settings
        if note is not msgspec.UNSET
        else ThreadSettings(
            provider="",
            model=context.model,
            cwd=context.cwd,
            approval_policy="never" if context.approval_policy == "never" else "on-request",
            reasoning_effort=context.effort,
            reasoning_summary=None if context.summary == "auto" else context.summary,
        )
    )
    record = TurnContext(turn_id=context.turn_id, settings=settings)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=record)


def _decode_noted(decoder: Decoder[Any], type_: type, payload: msgspec.Raw) -> Any:
    """Decode; where our own note says more than this version understands, do without the note."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        fields = _any.decode(payload)
        if fields.pop("callboard", None) is None:
            raise
        return msgspec.convert(fields, type_)


def _read_compacted(head: _Head) -> Line:
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


def _read_passed(head: _Head) -> Line:
    passed = _passed.decode(head.payload)
    return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=passed.record, paired=passed.paired)


def _reader_of(type_: type) -> Callable[[_Head], Line]:
    decoder: Decoder[Any] = Decoder(type_)

    def read(head: _Head) -> Line:
        return Line(ordinal=head.ordinal, timestamp=head.timestamp, record=decoder.decode(head.payload))

    return read


_READERS: dict[str, Callable[[_Head], Line | Skipped]] = {
    "response_item": _read_response_item,
    "event_msg": _read_event,
    "session_meta": _read_meta,
    "turn_context": _read_context,
    "compacted": _read_compacted,
    _PASSED: _read_passed,
    **{name: _reader_of(type_) for type_, name in _OURS.items()},
}

_KNOWN_EVENTS = ("task_started", "task_complete", "turn_aborted", "token_count", "item_completed")


def _why_not(head: _Head, error: Exception) -> Skipped:
    """Tell what is not for us from what is damaged."""
    if head.type == "event_msg":
        try:
            peek = _event_peek.decode(head.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            peek = _EventPeek()
        if peek.type not in _KNOWN_EVENTS:
            return Skipped(ordinal=head.ordinal, reason="unknown_event", detail=peek.type)
        if peek.type == "item_completed" and "$.item.type" in str(error):
            return Skipped(ordinal=head.ordinal, reason="unknown_event", detail="item_completed of an unknown item")
    return Skipped(ordinal=head.ordinal, reason="unreadable", detail=f"{head.type}: {error}")
