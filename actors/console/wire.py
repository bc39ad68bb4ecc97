"""``callboard wire``: what the daemon makes of a recorded answer, and what it would send. Needs no daemon.

    callboard wire decode --wire chat answer.sse                  items, stop, usage, error, retryable
    callboard wire decode --wire chat --normalized answer.sse     the wire's own words in one shape
    callboard wire render --wire messages history.json            the request's body

The code is the daemon's own, so a bug report that holds such a file can be replayed to the byte. ``-`` is standard
input. Exit codes: 0 for a finished response and for a body, 3 for an error outcome (which is printed all the same), 2
for a file that cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.console import home as homes
from actors.model_stream import report
from actors.model_stream.core import WIRES
from actors.model_stream.providers import known_providers
from actors.model_stream.rendering import UnsupportedError
from actors.settings.layers import CONFIG_FILE, SettingsError, file_layer, merge
from messages.items import HistoryItem, ItemKind, Origin
from messages.model import SampleRequest
from messages.settings import ProviderSettings, Settings, WireApi

ERROR_OUTCOME = 3
UNUSABLE = 2

PROVIDER_OF_WIRE: dict[WireApi, str] = {"responses": "openai", "chat": "openai", "messages": "anthropic"}
"""Whose habits a rendered request has unless it is said."""

_KINDS: dict[str, ItemKind] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
    "function_call_output": "function_call_output",
    "custom_tool_call": "custom_tool_call",
    "custom_tool_call_output": "custom_tool_call_output",
    "compaction": "compaction",
    "compaction_summary": "compaction",
}

TOLD = ("stop", "usage", "error", "retryable", "partial", "response_id", "answered_by", "why")
"""What `decode` prints beside the items; a file that holds its output can be rendered as it is."""

_OURS = ("function_call_output", "custom_tool_call_output")


class UnusableFileError(Exception):
    """The file does not hold what is needed; the text says what is wrong with it."""


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    try:
        data = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        return _decode(options, data) if options.action == "decode" else _render(options, data)
    except OSError as error:
        print(f"callboard wire: {options.file}: {error.strerror or error}", file=sys.stderr)
    except (UnusableFileError, SettingsError) as error:
        print(f"callboard wire: {error}", file=sys.stderr)
    return UNUSABLE


def _decode(options: argparse.Namespace, data: bytes) -> int:
    heard = report.hear(
        options.wire,
        data,
        status=options.status,
        provider=options.provider or PROVIDER_OF_WIRE[options.wire],
        model=options.model or "recorded",
        freeform=frozenset(options.freeform),
    )
    _print(report.normalized(heard) if options.normalized else report.told(heard))
    return 0 if heard.failure is None else ERROR_OUTCOME


def _render(options: argparse.Namespace, data: bytes) -> int:
    wire: WireApi = options.wire
    request = request_of(data, wire, provider=options.provider, model=options.model)
    try:
        body = WIRES[wire].body(request, _provider(request.provider, wire))
    except UnsupportedError as error:
        _print({"error": {"kind": "invalid_request", "message": str(error)}, "retryable": False})
        return ERROR_OUTCOME
    print(msgspec.json.format(body, indent=2).decode())
    return 0


def request_of(data: bytes, wire: WireApi, *, provider: str | None = None, model: str | None = None) -> SampleRequest:
    """The request that a file describes. Raises UnusableFileError.

    A list holds the history's items; an object holds it under ``history`` (or ``items`` or ``input``), and beside it
    any field of `messages.model.SampleRequest`. An item is JSON in the Responses vocabulary, as `decode` prints it. One
    that a model made may say who: ``"origin": {"provider", "model", "wire"}``, in the item or once for all of them;
    without it, it is taken to be made by the very provider and model that is asked.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableFileError(f"the file is no JSON: {error}") from error
    fields: dict[str, Any] = dict(value) if isinstance(value, dict) else {"history": value}
    history = next((fields.pop(name) for name in ("history", "items", "input") if name in fields), None)
    if not isinstance(history, list):
        raise UnusableFileError("the file holds no history: a list of items, or an object with `history`")
    for name in TOLD:
        fields.pop(name, None)
    default_origin = fields.pop("origin", None)
    fields["provider"] = provider or fields.get("provider") or PROVIDER_OF_WIRE[wire]
    fields["model"] = model or fields.get("model") or "some-model"
    maker = _origin("origin", default_origin) or Origin(provider=fields["provider"], model=fields["model"], wire=wire)
    defaults = {"request_id": "render", "thread_id": "render", "turn_id": "render", "instructions": ""}
    items = tuple(_item(number, each, maker) for number, each in enumerate(history))
    known = set(SampleRequest.__struct_fields__)
    if unknown := sorted(set(fields) - known):
        raise UnusableFileError(f"unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        request = msgspec.convert({**defaults, **fields, "history": []}, SampleRequest)
    except msgspec.ValidationError as error:
        raise UnusableFileError(str(error)) from error
    return msgspec.structs.replace(request, history=items)


def _item(number: int, value: Any, maker: Origin) -> HistoryItem:
    if not isinstance(value, dict):
        raise UnusableFileError(f"history[{number}] is no item but {msgspec.json.encode(value).decode()[:80]}")
    fields = dict(value)
    given = fields.pop("origin", None)
    if "type" not in fields and "role" in fields:
        fields["type"] = "message"
    kind = _KINDS.get(str(fields.get("type")), "opaque")
    if kind == "message" and isinstance(fields.get("content"), str):
        part = "output_text" if fields.get("role") == "assistant" else "input_text"
        fields["content"] = [{"type": part, "text": fields["content"]}]
    origin = _origin(f"history[{number}].origin", given)
    made_here = kind not in _OURS and (kind != "message" or fields.get("role") == "assistant")
    return HistoryItem(
        kind=kind,
        raw=msgspec.json.encode(fields),
        call_id=fields.get("call_id"),
        origin=origin or (maker if made_here else None),
    )


def _origin(at: str, value: Any) -> Origin | None:
    try:
        return None if value is None else msgspec.convert(value, Origin)
    except msgspec.ValidationError as error:
        raise UnusableFileError(f"{at}: {error}") from error


def _provider(provider_id: str, wire: WireApi) -> ProviderSettings:
    """Its settings, speaking this wire whatever it speaks by default."""
    known = known_providers(user_settings(), "")
    if provider_id not in known:
        raise UnusableFileError(f"there is no provider {provider_id!r}; known are {', '.join(sorted(known))}")
    return msgspec.structs.replace(known[provider_id], wire_api=wire)


def user_settings() -> Settings:
    """What the user's file sets. Raises SettingsError."""
    file = homes.home() / CONFIG_FILE
    layers = (file_layer(str(file), file.read_bytes()),) if file.is_file() else ()
    return merge(str(homes.home()), layers).settings


def _print(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
