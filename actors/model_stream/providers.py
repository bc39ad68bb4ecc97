"""Which providers there are, and which one with which model is meant when nobody has said so.

A provider is data: where it is, which wire it speaks, where its key comes from. The rehearsed one and those of
`profiles` that have one address for everybody are built in; settings may add others and override these. Pure: which
keys and logins there are is an argument.

Rejected: asking when there are several logins and nothing is set (whoever has just logged in means that login).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from actors.model_stream.catalogue import default_model
from actors.model_stream.listings import layered
from actors.model_stream.profiles import PROFILES, settings_of
from messages.credentials import Login
from messages.settings import ModelSettings, ProviderSettings, Settings

OPENAI = "openai"
OPENAI_KEY = "OPENAI_API_KEY"
ANTHROPIC = "anthropic"
ANTHROPIC_KEY = "ANTHROPIC_API_KEY"
REHEARSAL = "rehearsal"
CHATGPT, CLAUDE = "chatgpt", "claude"
"""By login, each with an OAuth client that the user names."""


class ChoiceError(ValueError):
    """The settings name no usable provider or model; the text says what to set."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a new thread uses unless it says otherwise."""

    provider: str
    model: str
    why: str = ""
    """What decided on the provider; for people, as the end of a sentence."""


def is_rehearsed(name: str) -> bool:
    """Whether the rehearsed model answers under this id: ``rehearsal``, or ``rehearsal-…`` for another wire of it."""
    return name == REHEARSAL or name.startswith(f"{REHEARSAL}-")


def known_providers(
    settings: Settings, rehearsal_base_url: str, listed: Mapping[str, Mapping[str, ModelSettings]] | None = None
) -> dict[str, ProviderSettings]:
    """All providers by id. ``rehearsal_base_url`` is where the embedded one serves (empty before it does); ``listed``
    is what providers say of their models, over which goes what the settings say."""
    known = {
        **{profile.id: settings_of(profile) for profile in PROFILES if profile.base_url},
        ANTHROPIC: ProviderSettings(
            name="Anthropic",
            base_url="https://api.anthropic.com/v1",
            wire_api="messages",
            env_key=ANTHROPIC_KEY,
            key_header="x-api-key",
        ),
        CHATGPT: ProviderSettings(
            name="ChatGPT", base_url="https://chatgpt.com/backend-api/codex", wire_api="responses", oauth=CHATGPT
        ),
        CLAUDE: ProviderSettings(
            name="Claude", base_url="https://api.anthropic.com/v1", wire_api="messages", oauth=CLAUDE
        ),
        REHEARSAL: ProviderSettings(name="the rehearsed model", base_url=rehearsal_base_url),
        **settings.model_providers,
    }
    found = listed or {}
    for id_, provider in known.items():
        models = layered(found.get(id_, {}), settings.models, provider.models)
        if models:
            known[id_] = msgspec.structs.replace(provider, models=models)
    return known


def endpoint(base_url: str, path: str) -> str:
    """Where a provider answers to ``path`` (``/responses``). What its base URL asks for in a query stays a query."""
    address, mark, query = base_url.partition("?")
    return address.rstrip("/") + path + mark + query


def choose(settings: Settings, environment: Mapping[str, str], logins: Iterable[Login] = ()) -> Choice:
    """The provider and model of new threads.

    What is set counts; else OpenAI, else Anthropic, if its key is in ``environment``; else the latest of ``logins`` to
    a provider of which a model is known; else the rehearsed model. Raises ChoiceError.
    """
    known = known_providers(settings, "")
    provider, why = _chosen(settings, environment, logins, known)
    if provider not in known:
        raise ChoiceError(
            f"model_provider is {provider!r}, but there is no such provider; known are {', '.join(sorted(known))}. "
            f"Define it under [model_providers.{provider}]."
        )
    model = settings.model or default_model(provider)
    if not model:
        raise ChoiceError(
            f'no model is set for the provider {provider!r}: name one with `model = "…"` in config.toml, '
            "`-c model=…` or `--model`."
        )
    return Choice(provider=provider, model=model, why=why)


def _chosen(
    settings: Settings, environment: Mapping[str, str], logins: Iterable[Login], known: Mapping[str, ProviderSettings]
) -> tuple[str, str]:
    if settings.model_provider:
        return settings.model_provider, "model_provider is set"
    for provider, key in ((OPENAI, OPENAI_KEY), (ANTHROPIC, ANTHROPIC_KEY)):
        if environment.get(key, "").strip():
            return provider, f"{key} is set"
    usable = [each for each in logins if each.provider in known and (settings.model or default_model(each.provider))]
    if usable:
        latest = max(usable, key=lambda login: (login.at, login.provider))
        return latest.provider, "it is the latest login" if len(usable) > 1 else "it is the one login"
    return REHEARSAL, "no provider is set, no key is in the environment, and nobody is logged in"
