"""Records to JSONL lines; `parsing` is the way back.

A line is ``{"timestamp","ordinal","type","payload"[,"metadata"]}`` and a newline; without the newline it does not
exist. Types and payloads follow the Codex rollout, see docs/rollouts.md for the table. What their form cannot say is
in a field ``callboard`` of the payload, which their reader ignores; what they have no word for at all is a record
type with the prefix ``callboard_``, which their reader skips.

Rejected: one big tagged union for whole lines (an item's exact bytes would be lost: what is replayed to a provider
must be what was recorded, byte for byte), and checksums per line (a torn line is not valid JSON with a newline, and
a flipped bit is the file system's business).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec
from msgspec.json import Decoder, Encoder

from actors.rollout_writer import forms
from actors.rollout_writer.shown import keep
from messages.base import ItemId
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    CallSpawned,
    Compacted,
    ItemShown,
    MessageQuarantined,
    Record,
    ResponseItem,
    ScriptRecorded,
    ScriptWritten,
    SessionMeta,
    SpawnEnded,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolDenied,
    ToolStarted,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import USUAL_BUDGET


class UnencodableError(ValueError):
    """The records break the format's own rules: a defect of whoever made them, never of the disk."""


_raw: Decoder[msgspec.Raw] = Decoder(msgspec.Raw)

_encode = Encoder().encode


def format_time(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds: ``2026-11-21T01:02:03.456Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:23] + "Z"


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
            note = forms.ItemNote(
                turn_id=record.turn_id, item_id=record.item_id, response_id=record.response_id, origin=item.origin
            )
            return "response_item", _one_line(item.raw), _encode(note)
        case ItemShown():
            shown = forms.ItemCompleted(
                thread_id=thread_id,
                turn_id=record.turn_id,
                item=keep(record.item),
                started_at_ms=record.item.started_at_ms,
                completed_at_ms=record.at_ms,
                callboard=forms.ShownNote(partial=record.partial, paired=paired),
            )
            return "event_msg", _encode(shown), None
        case TurnOpened():
            opened = forms.TaskStarted(
                turn_id=record.turn_id,
                started_at=int(record.started_at),
                callboard=forms.OpenedNote(
                    submission_id=record.submission_id,
                    started_at=record.started_at,
                    budget=None if record.budget == USUAL_BUDGET else record.budget,
                    output_schema=record.output_schema,
                ),
            )
            return "event_msg", _encode(opened), None
        case TurnClosed():
            return "event_msg", _encode(_closed(record)), None
        case UsageRecorded():
            info = forms.UsageInfo(
                total_token_usage=_keep_usage(record.total), last_token_usage=_keep_usage(record.last)
            )
            return "event_msg", _encode(forms.TokenCount(info=info, turn_id=record.turn_id)), None
        case TurnContext():
            return "turn_context", _encode(_keep_context(record)), None
        case SessionMeta():
            return "session_meta", _encode(_keep_meta(record)), None
        case Compacted():
            compacted = forms.CompactedForm(
                message=record.message,
                replacement_history=tuple(msgspec.Raw(_one_line(item.raw)) for item in record.history),
                turn_id=record.turn_id,
                callboard=tuple(forms.ItemNote(origin=item.origin) for item in record.history),
            )
            return "compacted", _encode(compacted), None
        case TerminalPassed():
            return forms.PASSED, _encode(forms.Passed(record=record, paired=paired)), None
        case (
            SteerAccepted()
            | ToolStarted()
            | ToolDenied()
            | ScriptWritten()
            | ScriptRecorded()
            | CallSpawned()
            | SpawnEnded()
            | ApprovalAsked()
            | ApprovalAnswered()
            | ThreadNamed()
            | TextCheckpoint()
            | MessageQuarantined()
        ):
            return forms.OURS[type(record)], _encode(record), None
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


def _closed(record: TurnClosed) -> forms.TaskComplete | forms.TurnAborted:
    at = int(record.completed_at)
    if record.status == "interrupted":
        return forms.TurnAborted(turn_id=record.turn_id, completed_at=at, callboard=record)
    return forms.TaskComplete(
        turn_id=record.turn_id, last_agent_message=record.last_message, completed_at=at, callboard=record
    )


def _keep_context(record: TurnContext) -> dict[str, Any]:
    # A client's tools never change and are large: the first record has them, and no turn's.
    settings = msgspec.structs.replace(record.settings, dynamic_tools=())
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


def _keep_meta(record: SessionMeta) -> forms.Meta:
    base = record.settings.base_instructions
    git = forms.Git(commit_hash=record.git_commit, branch=record.git_branch, repository_url=record.git_origin)
    return forms.Meta(
        id=record.thread_id,
        session_id=record.thread_id,
        timestamp=format_time(record.created_at),
        cwd=record.cwd,
        originator=record.originator,
        thread_source=record.thread_source,
        cli_version=record.cli_version,
        source=record.source,
        model_provider=record.settings.provider,
        base_instructions=None if base is None else forms.Text(text=base),
        # "paginated" is their word for: items are shown from item_completed, not guessed from response_item.
        history_mode="paginated",
        git=git if git != forms.Git() else None,
        callboard=forms.MetaNote(created_at=record.created_at, settings=record.settings),
    )


def _keep_usage(usage: TokenUsage) -> forms.Usage:
    return forms.Usage(
        input_tokens=usage.input,
        cached_input_tokens=usage.cached_input,
        cache_write_input_tokens=usage.cache_write_input,
        output_tokens=usage.output,
        reasoning_output_tokens=usage.reasoning_output,
        total_tokens=usage.total,
    )
