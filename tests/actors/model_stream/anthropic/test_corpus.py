"""Every recorded Messages stream, error and derived fault comes out as the corpus says, wherever it is cut."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.model_stream.errors import from_http
from actors.model_stream.rendering import text_of
from messages.failure import FailureKind
from messages.items import FunctionCall, MessageItem, ReasoningItem
from tests.actors.model_stream.anthropic.hearing import hear, hear_all
from tests.actors.model_stream.hearing import Heard
from tests.reference import reference_path, reference_root

CUTS = 50
"""Places at which each stream is cut, one at a time."""


def _names(folder: str, pattern: str) -> list[str]:
    root = reference_root()
    return sorted(path.name for path in (root / folder).glob(pattern)) if root else ["(no reference material)"]


STREAMS = _names("wire/corpus/dev/anthropic", "*.sse")
FAULTS = _names("wire/corpus/synthetic/anthropic", "*.sse")
ERRORS = _names("wire/corpus/errors", "anthropic-*.json")


def _load(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())


def _said(value: Any) -> Any:
    """Without fields that are null: the recorded accumulators differ in which of them they keep."""
    if isinstance(value, dict):
        return {name: _said(inner) for name, inner in value.items() if inner is not None}
    return [_said(inner) for inner in value] if isinstance(value, list) else value


def _check_items(heard: Heard, expected: dict[str, Any]) -> None:
    """The items hold what the provider sent."""
    normalized = expected["normalized"]
    shown = {channel: "".join(text for _, c, _, text in heard.texts if c == channel) for channel in ("text", "summary")}
    assert shown == {"text": normalized["text"], "summary": normalized["reasoning"]}
    assert heard.completed is not None
    assert heard.completed.wire_stop == normalized["stop"]
    assert heard.completed.wire_usage is not None
    assert _said(msgspec.json.decode(heard.completed.wire_usage)) == _said(normalized["usage"])
    if normalized["stop"] == "refusal":
        assert heard.items == ()
        assert heard.completed.stop == "refused"
        return
    read = [msgspec.json.decode(item.raw, type=_READABLE[item.kind]) for item in heard.items if item.kind != "opaque"]
    said = "".join(text_of(each.content) for each in read if isinstance(each, MessageItem))
    assert said == normalized["text"]
    calls = [
        {"id": each.call_id, "name": each.name, "arguments": msgspec.json.decode(each.arguments)}
        for each in read
        if isinstance(each, FunctionCall)
    ]
    if normalized["stop"] == "max_tokens":
        assert calls == []
    else:
        assert calls == normalized["tool_calls"]
    opaque = [each.encrypted_content for each in read if isinstance(each, ReasoningItem)]
    assert opaque == [*normalized["replay"]["signatures"], *normalized["replay"]["redacted"]]


_READABLE: dict[str, Any] = {"message": MessageItem, "reasoning": ReasoningItem, "function_call": FunctionCall}


@pytest.mark.reference
@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_accumulates_as_recorded_wherever_it_is_cut(name: str) -> None:
    path = reference_path("wire/corpus/dev/anthropic") / name
    stream = path.read_bytes()
    expected = _load(path.with_suffix(".expected.json"))
    heard, accumulated = hear_all([stream])
    assert heard.failure is None
    assert _said(accumulated) == _said(expected["accumulated"])
    _check_items(heard, expected)
    dice = random.Random(name)
    for _ in range(CUTS):
        place = dice.randrange(1, len(stream))
        again, accumulated_again = hear_all([stream[:place], stream[place:]])
        assert again == heard
        assert accumulated_again == accumulated


@pytest.mark.reference
@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_comes_out_the_same_byte_by_byte(name: str) -> None:
    stream = (reference_path("wire/corpus/dev/anthropic") / name).read_bytes()[:20_000]
    assert hear(bytes((byte,)) for byte in stream) == hear([stream])


@pytest.mark.reference
@pytest.mark.parametrize("name", FAULTS)
def test_an_injected_fault_has_its_declared_outcome(name: str) -> None:
    corpus = reference_path("wire/corpus")
    fault = next(f for f in _load(corpus / "synthetic/faults.json") if f["file"].endswith(f"anthropic/{name}"))
    stream = (corpus / fault["file"]).read_bytes()
    heard, accumulated = hear_all([stream])
    dice = random.Random(name)
    for _ in range(CUTS):
        place = dice.randrange(1, len(stream))
        assert hear([stream[:place], stream[place:]]) == heard
    if fault["expected"].startswith("same-as-base"):
        # An event that lacks only its final blank line is heard: servers forget it, and half an object cannot parse.
        assert (heard, accumulated) == hear_all([(corpus / fault["base"]).read_bytes()])
        return
    assert heard.completed is None
    assert heard.items == ()
    assert heard.failure is not None
    assert heard.failure.retryable
    expected: FailureKind = "stream_disconnected" if "closed-early" in fault["expected"] else "overloaded"
    assert heard.failure.kind == expected


KIND_OF_STATUS: dict[int, FailureKind] = {400: "invalid_request", 404: "not_found"}


@pytest.mark.reference
@pytest.mark.parametrize("name", ERRORS)
def test_a_recorded_error_response_is_classified_and_never_retried(name: str) -> None:
    recorded = _load(reference_path("wire/corpus/errors") / name)
    body = recorded["body"]
    failure = from_http(
        recorded["status"], recorded["headers"], msgspec.json.encode(body), now=0.0, where="the provider"
    )
    too_long = "prompt is too long" in body["error"]["message"]
    assert failure.kind == ("context_window_exceeded" if too_long else KIND_OF_STATUS[recorded["status"]])
    assert not failure.retryable
    assert failure.http_status == recorded["status"]
    assert failure.request_id == recorded["headers"].get("request-id", body["request_id"])
    assert failure.detail is not None
    assert failure.detail.endswith(body["error"]["message"])
