"""RF: request formatting."""

from __future__ import annotations

import pytest

from actors.credentials.core import decide
from actors.model_stream.providers import known_providers
from actors.model_stream.rendering import UnsupportedError
from actors.model_stream.responses.request import body as responses_body
from messages.credentials import Headers
from messages.settings import ProviderSettings, Settings
from tests.actors.model_stream.anthropic.asking import LOOK, answer, beside, messages, request, said, sent
from tests.actors.model_stream.anthropic.matrix.registry import case

PNG = "data:image/png;base64,iVBORw0KGgo="


@case("RF-01", "model, `max_tokens` of the catalogue and `stream` are sent")
def _() -> None:
    body = sent(model="claude-opus-5-5")
    assert (body["model"], body["max_tokens"], body["stream"]) == ("claude-opus-5-5", 128_000, True)


@case("RF-02", "a model nobody described gets `max_tokens` 8192")
def _() -> None:
    assert sent(model="some-open-model")["max_tokens"] == 8192


@case("RF-03", "a limit of the request outranks the catalogue's")
def _() -> None:
    assert sent(max_output_tokens=512)["max_tokens"] == 512


@case("RF-04", "instructions are the system prompt, no message")
def _() -> None:
    body = sent()
    assert [block["text"] for block in body["system"]] == ["You are a test."]
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    assert "system" not in sent(instructions="")


@case("RF-05", "what the house says before anybody else joins the system prompt")
def _() -> None:
    body = sent(said("developer", "Be brief."), said("user", "hello"))
    assert [block["text"] for block in body["system"]] == ["You are a test.", "Be brief."]
    assert [message["role"] for message in body["messages"]] == ["user"]


@case("RF-06", "what the house says later is a system message where the model takes one, else a user's, in a tag")
def _() -> None:
    history = (said("user", "hello"), said("developer", "Be brief."))
    assert messages(*history, model="claude-opus-5-5")[1] == {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief."}],
    }
    [only] = messages(*history, model="claude-haiku-4-5")
    assert only["content"][1]["text"] == "<system>\nBe brief.\n</system>"
    # Between two of the user's it may not stand.
    assert [m["role"] for m in messages(*history, said("user", "go"), model="claude-opus-5-5")] == ["user"]


@case("RF-07", "a user's text and images keep their order; data is sent as base64, an address as such")
def _() -> None:
    url = {"type": "input_image", "image_url": "https://example.org/a.png"}
    [message] = messages(said("user", "this", {"type": "input_image", "image_url": PNG}, "and that", url))
    assert message["content"] == [
        {"type": "text", "text": "this"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "text", "text": "and that"},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    ]


@case("RF-08", "an image of a type that is not taken is told of in words")
def _() -> None:
    for url in ("data:image/tiff;base64,AAAA", "file:///etc/passwd", "data:image/png,raw"):
        [message] = messages(said("user", {"type": "input_image", "image_url": url}))
        assert message["content"] == [{"type": "text", "text": "(an image that this model cannot be shown)"}]


@case("RF-09", "what one speaker says without interruption is one message; blank text is left out")
def _() -> None:
    history = (said("user", "a"), said("user", " ", "b"), answer("c"), answer("  "), answer("d"), said("user", "e"))
    assert [(m["role"], [b["text"] for b in m["content"]]) for m in messages(*history)] == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
        ("user", ["e"]),
    ]


@case("RF-10", "thinking has each model's own form and default")
def _() -> None:
    adaptive = {"type": "adaptive", "display": "summarized"}
    expected = {
        "claude-opus-5-5": (adaptive, "medium"),
        "claude-sonnet-5-5": (adaptive, "high"),
        "claude-opus-4-8": (adaptive, "high"),
        "claude-opus-4-6": ({"type": "adaptive"}, "high"),
        "anthropic/claude-opus-4.6": ({"type": "adaptive"}, "high"),
        "claude-sonnet-4-5-20250929": (None, None),
        "claude-3-5-haiku-20241022": (None, None),
        "claude-of-next-year-9": (None, None),
        "qwen": (None, None),
    }
    for model, (thinking, effort) in expected.items():
        body = sent(model=model)
        assert (body.get("thinking"), body.get("output_config", {}).get("effort")) == (thinking, effort), model


@case("RF-11", "an effort that is asked for is turned as far as the model goes; `none` in the model's own word")
def _() -> None:
    def of(model: str, effort: str) -> tuple[object, object]:
        body = sent(model=model, reasoning_effort=effort)
        return body.get("thinking"), body.get("output_config", {}).get("effort")

    shown = {"display": "summarized"}
    assert of("claude-opus-4-6", "xhigh") == ({"type": "adaptive"}, "high")
    assert of("claude-opus-5", "minimal") == ({"type": "adaptive", **shown}, "low")
    assert of("claude-opus-5", "none") == ({"type": "disabled"}, None)
    assert of("claude-sonnet-5-5", "none") == ({"type": "between_tools"}, None)
    assert of("claude-opus-5-5", "none") == ({"type": "adaptive", **shown}, "low")
    assert of("claude-opus-4-7", "none") == (None, None)
    assert of("claude-haiku-4-5", "medium") == ({"type": "enabled", "budget_tokens": 10_000}, None)
    assert of("claude-opus-4-5", "max") == ({"type": "enabled", "budget_tokens": 48_000}, "high")
    assert of("qwen", "high") == ({"type": "enabled", "budget_tokens": 7168}, None)
    hidden = sent(model="claude-opus-4-6", reasoning_summary="none")["thinking"]
    assert hidden == {"type": "adaptive", "display": "omitted"}
    assert "display" not in sent(model="claude-opus-5", reasoning_summary="none")["thinking"]


@case("RF-12", "stop sequences are sent; a blank one, and any on a wire without them, is an error before the request")
def _() -> None:
    assert sent(stop_sequences=("END", "\n\nHuman:"))["stop_sequences"] == ["END", "\n\nHuman:"]
    assert "stop_sequences" not in sent()
    with pytest.raises(UnsupportedError, match="blank"):
        sent(stop_sequences=("END", " "))
    with pytest.raises(UnsupportedError, match="no stop sequences"):
        responses_body(request(stop_sequences=("END",)))


@case("RF-13", "an output schema is `output_config.format`, beside the effort")
def _() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    body = sent(model="claude-opus-5", output_schema=schema, reasoning_effort="low")
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}


@case("RF-14", "cache breakpoints stand on the system prompt and at the top level, and messages only grow")
def _() -> None:
    body = sent(said("developer", "more"), said("user", "hello"), tools=(LOOK,))
    assert body["cache_control"] == {"type": "ephemeral"}
    assert [block.get("cache_control") for block in body["system"]] == [None, {"type": "ephemeral"}]
    later = sent(said("developer", "more"), said("user", "hello"), answer("hi"), said("user", "bye"), tools=(LOOK,))
    assert later["messages"][:1] == body["messages"]
    assert {**later, "messages": 0} == {**body, "messages": 0}
    assert "cache_control" not in str(later["messages"])


@case("RF-15", "`anthropic-version` is the model's or the provider's, the key goes into `x-api-key` alone")
def _() -> None:
    assert beside("claude-haiku-4-5") == {"anthropic-version": "2023-06-01"}
    assert beside("claude-opus-5-5") == {"anthropic-version": "2026-10-21"}
    pinned = ProviderSettings(base_url="http://127.0.0.1:7", api_version="2023-06-01")
    assert beside("claude-opus-5-5", pinned) == {"anthropic-version": "2023-06-01"}
    interleaved = beside("claude-haiku-4-5", reasoning_effort="low", tools=(LOOK,))
    assert interleaved["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    anthropic = known_providers(Settings(), "")["anthropic"]
    given = decide("anthropic", anthropic, {"ANTHROPIC_API_KEY": "sk-ant-1"}, None, now=0)
    assert isinstance(given, Headers)
    assert [(name, value.reveal()) for name, value in given.items] == [("x-api-key", "sk-ant-1")]
