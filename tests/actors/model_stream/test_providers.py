"""Which provider and model is meant, and what is known of it."""

from __future__ import annotations

import pytest

from actors.model_stream.catalogue import BUNDLED, FALLBACK_CONTEXT_WINDOW, default_model, find, offered
from actors.model_stream.profiles import takes_freeform
from actors.model_stream.providers import ChoiceError, choose, endpoint, known_providers
from messages.credentials import Login, StoreKind
from messages.settings import Dialect, ProviderSettings, Settings

MINE = {"mine": ProviderSettings(base_url="http://127.0.0.1:1/v1")}


def login(provider: str, at: float, store: StoreKind = "file") -> Login:
    return Login(provider=provider, kind="api_key", store=store, at=at)


def chosen(settings: Settings, environment: dict[str, str], *logins: Login) -> tuple[str, str]:
    choice = choose(settings, environment, logins)
    return choice.provider, choice.model


def test_without_anything_the_rehearsed_model_plays() -> None:
    assert chosen(Settings(), {}) == ("rehearsal", "rehearsal")
    assert chosen(Settings(), {"OPENAI_API_KEY": "  "}) == ("rehearsal", "rehearsal")


def test_a_key_of_openai_means_openai_unless_something_is_set() -> None:
    environment = {"OPENAI_API_KEY": "sk-x"}
    assert chosen(Settings(), environment) == ("openai", default_model("openai"))
    set_ = Settings(model_provider="mine", model="m", model_providers=MINE)
    assert chosen(set_, environment, login("anthropic", 1.0)) == ("mine", "m")


def test_a_login_decides_where_neither_settings_nor_a_key_do_and_of_several_the_latest() -> None:
    anthropic, chatgpt = login("anthropic", 2.0), login("chatgpt", 1.0, "keyring")
    assert chosen(Settings(), {}, chatgpt) == ("chatgpt", default_model("openai"))
    assert chosen(Settings(), {}, login("claude", 1.0)) == ("claude", default_model("anthropic"))
    assert chosen(Settings(), {}, chatgpt, anthropic) == ("anthropic", default_model("anthropic"))
    assert chosen(Settings(), {"OPENAI_API_KEY": "sk-x"}, anthropic) == ("openai", default_model("openai"))
    assert choose(Settings(), {}, [chatgpt, anthropic]).why == "it is the latest login"


def test_a_login_whose_provider_is_gone_or_has_no_model_decides_nothing() -> None:
    """A daemon that starts must not fail over a key that somebody once kept."""
    assert chosen(Settings(), {}, login("removed", 9.0), login("groq", 8.0)) == ("rehearsal", "rehearsal")
    assert chosen(Settings(), {}, login("groq", 8.0), login("openai", 1.0)) == ("openai", default_model("openai"))
    assert chosen(Settings(model="llama"), {}, login("groq", 8.0), login("openai", 1.0)) == ("groq", "llama")


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
