"""Every recorded Responses stream, error and derived fault comes out as the corpus says, wherever it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.model_stream.errors import from_http
from messages.failure import FailureKind
from messages.model import TokenUsage
from tests.actors.model_stream.hearing import Heard, cut, hear
from tests.reference import reference_path, reference_root

CUTS = 4
"""Ways to cut each stream, beside not at all. The corpus is 2 MB; more cuts find nothing more."""


def _names(folder: str, pattern: str) -> list[str]:
    root = reference_root()
    return sorted(path.name for path in (root / folder).glob(pattern)) if root else ["(no reference material)"]


STREAMS = _names("wire/corpus/dev/responses", "*.sse")
FAULTS = _names("wire/corpus/synthetic/responses", "*.sse")
ERRORS = _names("wire/corpus/errors", "responses-*.json")


def _load(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())


def _without_status(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "status"}


def _usage(raw: dict[str, Any] | None) -> TokenUsage:
    raw = raw or {}
    details = raw.get("input_tokens_details") or {}
    return TokenUsage(
        input=raw.get("input_tokens", 0),
        cached_input=details.get("cached_tokens", 0),
        cache_write_input=details.get("cache_write_tokens", 0),
        output=raw.get("output_tokens", 0),
        reasoning_output=(raw.get("output_tokens_details") or {}).get("reasoning_tokens", 0),
        total=raw.get("total_tokens", 0),
    )


def _check(heard: Heard, expected: dict[str, Any]) -> None:
    assert [msgspec.json.decode(item.raw) for item in heard.items] == [
        _without_status(item) for item in expected["items_done"]
    ]
    normalized = expected["normalized"]
    if normalized["deltas_equal_final_text"]:  # two sources had trimmed their deltas
        assert "".join(text for _, channel, _, text in heard.texts if channel == "text") == normalized["text"]
    assert "".join(text for _, channel, _, text in heard.texts if channel == "reasoning") == normalized["reasoning"]
    assert [text for _, channel, _, text in heard.texts if channel == "summary"] == normalized["reasoning_summary"]
    assert ("".join(text for _, channel, _, text in heard.texts if channel == "refusal") or None) == normalized[
        "refusal"
    ]
    terminal = expected["raw_terminal"]
    calls = any(item.kind in ("function_call", "custom_tool_call") for item in heard.items)
    if terminal is None:
        assert heard.completed is None
        assert heard.failure is not None
        assert heard.failure.kind == "stream_disconnected"
        assert heard.failure.retryable
    elif terminal["status"] == "failed":
        assert heard.completed is None
        assert heard.failure is not None
        assert terminal["error"]["message"][:80] in heard.failure.message
    else:
        assert heard.failure is None
        assert heard.completed is not None
        assert heard.completed.response_id == terminal["id"]
        assert heard.completed.model == terminal["model"]
        assert heard.completed.usage == _usage(terminal["usage"])
        reason = (terminal.get("incomplete_details") or {}).get("reason")
        stop = {"max_output_tokens": "length", "content_filter": "filtered"}.get(reason or "")
        assert heard.completed.stop == (
            stop or ("tool_use" if calls else "refused" if normalized["refusal"] else "end")
        )


@pytest.mark.reference
@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_heard_as_recorded_wherever_it_is_cut(name: str) -> None:
    path = reference_path("wire/corpus/dev/responses") / name
    stream = path.read_bytes()
    whole = hear([stream])
    _check(whole, _load(path.with_suffix(".expected.json")))
    for seed in range(CUTS):
        assert hear(cut(stream, seed)) == whole


@pytest.mark.reference
@pytest.mark.parametrize("name", FAULTS)
def test_an_injected_fault_has_its_declared_outcome(name: str) -> None:
    corpus = reference_path("wire/corpus")
    fault = next(f for f in _load(corpus / "synthetic/faults.json") if f["file"].endswith(f"responses/{name}"))
    stream = (corpus / fault["file"]).read_bytes()
    heard = hear([stream])
    for seed in range(CUTS):
        assert hear(cut(stream, seed)) == heard
    if fault["expected"].startswith("same-as-base"):
        # An event that lacks only its final blank line is heard: servers forget it, and half an object cannot parse.
        base = hear([(corpus / fault["base"]).read_bytes()])
        assert heard.items == base.items
        assert heard.texts == base.texts
        assert heard.completed == base.completed
        return
    assert heard.completed is None
    assert heard.failure is not None
    assert heard.failure.retryable
    expected: FailureKind = "stream_disconnected" if "closed-early" in fault["expected"] else "server_error"
    assert heard.failure.kind == expected


KIND_OF_CODE: dict[str, FailureKind] = {
    "context_length_exceeded": "context_window_exceeded",
    "model_not_found": "not_found",
    "invalid_api_key": "unauthorized",
}


@pytest.mark.reference
@pytest.mark.parametrize("name", ERRORS)
def test_a_recorded_error_response_is_classified_and_never_retried(name: str) -> None:
    recorded = _load(reference_path("wire/corpus/errors") / name)
    error = recorded["body"]["error"]
    failure = from_http(
        recorded["status"], recorded["headers"], msgspec.json.encode(recorded["body"]), now=0.0, where="the provider"
    )
    assert failure.kind == KIND_OF_CODE.get(error["code"], "invalid_request")
    assert not failure.retryable
    assert failure.http_status == recorded["status"]
    assert failure.request_id == recorded["headers"].get("x-request-id")
    assert failure.detail is not None
    assert failure.detail.endswith(error["message"])
