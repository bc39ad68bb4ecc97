"""Every recorded Chat Completions stream, error and derived fault comes out as the corpus says, wherever it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.model_stream.chat.decode import ChatDecoder
from actors.model_stream.errors import from_http
from messages.failure import FailureKind
from messages.items import FunctionCall, MessageItem, OutputText, ReasoningItem, Refusal
from tests.actors.model_stream.chat.listening import hear, listen
from tests.actors.model_stream.hearing import Heard, cut
from tests.reference import reference_path, reference_root

CUTS = 50

COMPLETE_WITHOUT_BLANK_LINE = "an event that lacks only its final blank line is heard"


def _names(folder: str, pattern: str) -> list[str]:
    root = reference_root()
    return sorted(path.name for path in (root / folder).glob(pattern)) if root else ["(no reference material)"]


STREAMS = _names("wire/corpus/dev/chat", "*.sse")
FAULTS = _names("wire/corpus/synthetic/chat", "*.sse")
ERRORS = _names("wire/corpus/errors", "chat-*.json")


def _load(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())


def _read(heard: Heard, kind: Any) -> list[Any]:
    """The finished items of one kind."""
    names = {MessageItem: "message", ReasoningItem: "reasoning", FunctionCall: "function_call"}
    return [msgspec.json.decode(item.raw, type=kind) for item in heard.items if item.kind == names[kind]]


def _streamed(heard: Heard, channel: str) -> str:
    return "".join(text for _, each, _, text in heard.texts if each == channel)


def _check(heard: Heard, decoder: ChatDecoder, expected: dict[str, Any]) -> None:
    assert _streamed(heard, "text") == expected["text"]
    assert _streamed(heard, "reasoning") == expected["reasoning"]
    assert (_streamed(heard, "refusal") or None) == expected["refusal"]
    assert (decoder.reasoning_details or None) == expected["reasoning_details"]
    assert [{"id": call.id, "name": call.name, "arguments": call.text()} for call in decoder.calls.slots] == expected[
        "tool_calls"
    ]
    assert decoder.finish_reason == expected["stop"]
    assert decoder.usage == expected["usage"]
    assert decoder.wire_error == expected["error"]
    if expected["error"] is not None:
        assert heard.completed is None
        assert heard.failure is not None
        assert expected["error"]["message"] in heard.failure.message
        return
    assert heard.failure is None
    _check_items(heard, expected)
    assert heard.completed is not None
    assert heard.completed.wire_stop == expected["stop"]
    cut_off = {"length": "length", "content_filter": "filtered"}.get(expected["stop"] or "")
    assert heard.completed.stop == (
        cut_off or ("tool_use" if expected["tool_calls"] else "refused" if expected["refusal"] else "end")
    )


def _check_items(heard: Heard, expected: dict[str, Any]) -> None:
    """What goes into the history is what was streamed."""
    said = [part for item in _read(heard, MessageItem) for part in item.content]
    assert "".join(part.text for part in said if isinstance(part, OutputText)) == expected["text"]
    assert ("".join(part.refusal for part in said if isinstance(part, Refusal)) or None) == expected["refusal"]
    thought = [part.text for item in _read(heard, ReasoningItem) for part in item.content or ()]
    assert "".join(thought) == expected["reasoning"]
    assert [(call.call_id, call.name, call.arguments) for call in _read(heard, FunctionCall)] == [
        (call["id"], call["name"], call["arguments"] or "{}") for call in expected["tool_calls"]
    ]


@pytest.mark.reference
@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_heard_as_recorded_wherever_it_is_cut(name: str) -> None:
    path = reference_path("wire/corpus/dev/chat") / name
    stream = path.read_bytes()
    whole, decoder = listen([stream])
    _check(whole, decoder, _load(path.with_suffix(".expected.json"))["normalized"])
    for seed in range(CUTS):
        assert hear(cut(stream, seed)) == whole


@pytest.mark.reference
@pytest.mark.parametrize("name", FAULTS)
def test_an_injected_fault_has_its_declared_outcome(name: str) -> None:
    corpus = reference_path("wire/corpus")
    fault = next(f for f in _load(corpus / "synthetic/faults.json") if f["file"].endswith(f"chat/{name}"))
    stream = (corpus / fault["file"]).read_bytes()
    heard = hear([stream])
    for seed in range(CUTS):
        assert hear(cut(stream, seed)) == heard
    if fault["expected"].startswith("same-as-base"):
        assert heard == hear([(corpus / fault["base"]).read_bytes()]), COMPLETE_WITHOUT_BLANK_LINE
        return
    assert heard.completed is None
    assert heard.items == ()
    assert heard.failure is not None
    assert heard.failure.retryable
    kinds = ("stream_disconnected",) if "closed-early" in fault["expected"] else ("server_error", "overloaded")
    assert heard.failure.kind in kinds


KIND_OF_STATUS: dict[int, FailureKind] = {
    400: "invalid_request",
    401: "unauthorized",
    404: "not_found",
    429: "rate_limited",
}

TOO_LONG = ("chat-400-05.json", "chat-400-12.json", "chat-400-15.json")
"""Three servers, three ways to say that the conversation is too long, none with a code."""


@pytest.mark.reference
@pytest.mark.parametrize("name", ERRORS)
def test_a_recorded_error_response_is_classified_and_only_rate_limits_are_retried(name: str) -> None:
    recorded = _load(reference_path("wire/corpus/errors") / name)
    failure = from_http(
        recorded["status"], recorded["headers"], msgspec.json.encode(recorded["body"]), now=0.0, where="the provider"
    )
    expected = "context_window_exceeded" if name in TOO_LONG else KIND_OF_STATUS[recorded["status"]]
    assert failure.kind == expected
    assert failure.retryable == (recorded["status"] == 429)
    assert failure.http_status == recorded["status"]
    assert failure.request_id == recorded["headers"].get("x-request-id")
    words = recorded["body"].get("detail") or recorded["body"]["error"]["message"]
    assert words[:200] in (failure.detail or "")
