"""Which provider and model is meant, and what is known of it."""

from __future__ import annotations

import pytest

from actors.model_stream.catalogue import BUNDLED, FALLBACK_CONTEXT_WINDOW, default_model, find, offered
from actors.model_stream.profiles import takes_freeform
from actors.model_stream.providers import Choice, ChoiceError, choose, endpoint, known_providers
from messages.settings import Dialect, ProviderSettings, Settings

MINE = {"mine": ProviderSettings(base_url="http://127.0.0.1:1/v1")}


def test_without_anything_the_rehearsed_model_plays() -> None:
    assert choose(Settings(), {}) == Choice(provider="rehearsal", model="rehearsal")
    assert choose(Settings(), {"OPENAI_API_KEY": "  "}) == Choice(provider="rehearsal", model="rehearsal")


def test_a_key_of_openai_means_openai_unless_something_is_set() -> None:
    environment = {"OPENAI_API_KEY": "sk-x"}
    assert choose(Settings(), environment) == Choice(provider="openai", model=default_model("openai") or "")
    chosen = Settings(model_provider="mine", model="m", model_providers=MINE)
    assert choose(chosen, environment) == Choice(provider="mine", model="m")


def test_what_cannot_be_meant_is_an_error_that_says_what_to_set() -> None:
    with pytest.raises(ChoiceError, match=r"no such provider; known are .*openai, .*rehearsal"):
        choose(Settings(model_provider="nobody"), {})
    with pytest.raises(ChoiceError, match=r"no model is set for the provider 'mine'.*--model"):
        choose(Settings(model_provider="mine", model_providers=MINE), {})


def test_settings_add_providers_and_override_those_that_are_built_in() -> None:
    elsewhere = ProviderSettings(base_url="https://proxy.example/v1", env_key="PROXY_KEY")
    known = known_providers(Settings(model_providers={**MINE, "openai": elsewhere}), "http://127.0.0.1:7/v1")
    assert {"openai", "rehearsal", "mine", "openrouter", "ollama"} <= set(known)
    assert "azure" not in known, "everybody has their own"
    assert known["openai"] == elsewhere
    assert known["rehearsal"].base_url == "http://127.0.0.1:7/v1"
    assert known["rehearsal"].env_key is None


def test_the_chosen_model_is_offered_first_or_where_it_stands_and_is_the_default() -> None:
    slugs = [entry.model for entry in offered("openai", "gpt-5.5")]
    assert slugs == [model.slug for model in BUNDLED if model.provider == "openai"]
    assert [entry.model for entry in offered("openai", "gpt-5.5") if entry.is_default] == ["gpt-5.5"]
    assert [entry.model for entry in offered("mine", "local-7b")] == ["local-7b"]


def test_an_unknown_model_gets_careful_assumptions_and_a_known_one_behind_a_gateway_stays_known() -> None:
    unknown = find("mine", "local-7b")
    assert (unknown.known, unknown.context_window, unknown.efforts) == (False, FALLBACK_CONTEXT_WINDOW, ())
    assert [option.reasoning_effort for option in offered("mine", "local-7b")[0].supported_reasoning_efforts] == [
        "none"
    ]
    gateway = find("mine", "openai/gpt-5.5")
    assert (gateway.known, gateway.slug, gateway.context_window) == (True, "openai/gpt-5.5", 272_000)


def test_an_anthropic_key_alone_chooses_claude_and_openais_key_comes_first() -> None:
    claude = choose(Settings(), {"ANTHROPIC_API_KEY": "sk-ant-1"})
    assert (claude.provider, claude.model) == ("anthropic", "claude-opus-5-5")
    assert choose(Settings(), {"ANTHROPIC_API_KEY": "sk-ant-1", "OPENAI_API_KEY": "sk-1"}).provider == "openai"


def test_a_claude_model_is_known_by_any_of_its_names() -> None:
    for slug in (
        "claude-haiku-4-5-20251001",
        "anthropic/claude-haiku-4.5",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    ):
        model = find("somewhere", slug)
        assert (model.max_output_tokens, model.context_window, model.efforts[0]) == (64_000, 200_000, "none"), slug
    assert find("anthropic", "claude-opus-4-20250514").max_output_tokens == 32_000
    assert not find("anthropic", "claude-opus-4-99").known


def test_freeform_tools_are_offered_as_such_where_the_responses_wire_has_them() -> None:
    local = ProviderSettings(base_url="http://127.0.0.1:11434/v1")
    unknown = ProviderSettings(base_url="http://127.0.0.1:1/v1")
    openai = ProviderSettings(base_url="https://api.openai.com/v1")
    assert [takes_freeform("mine", each) for each in (local, unknown, openai)] == [False, True, True]
    said = ProviderSettings(base_url="https://api.openai.com/v1", dialect=Dialect(freeform_tools=False))
    assert not takes_freeform("openai", said)


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("https://x.example/v1", "https://x.example/v1/responses"),
        ("https://x.example/v1/", "https://x.example/v1/responses"),
        ("https://x.example/v1?api-version=1", "https://x.example/v1/responses?api-version=1"),
        ("https://a:b@x.example/v1/?q=/", "https://a:b@x.example/v1/responses?q=/"),
    ],
)
def test_the_query_of_a_base_url_stays_behind_the_path(base_url: str, asked: str) -> None:
    assert endpoint(base_url, "/responses") == asked
