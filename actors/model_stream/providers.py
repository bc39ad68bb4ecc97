"""Which providers there are, and which one with which model is meant when nobody has said so.

A provider is data: where it is, which wire it speaks, where its key comes from. Two are built in; settings may add
others and override these. Pure: whether a key is there is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.model_stream.catalogue import default_model
from messages.settings import ProviderSettings, Settings

OPENAI = "openai"
OPENAI_KEY = "OPENAI_API_KEY"
REHEARSAL = "rehearsal"


class ChoiceError(Exception):
    """The settings name no usable provider or model; the text says what to set."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a new thread uses unless it says otherwise."""

    provider: str
    model: str


def known_providers(settings: Settings, rehearsal_base_url: str) -> dict[str, ProviderSettings]:
    """All providers by id. ``rehearsal_base_url`` is where the embedded one serves (empty before it does)."""
    return {
        OPENAI: ProviderSettings(name="OpenAI", base_url="https://api.openai.com/v1", env_key=OPENAI_KEY),
        REHEARSAL: ProviderSettings(name="the rehearsed model", base_url=rehearsal_base_url),
        **settings.model_providers,
    }


def choose(settings: Settings, environment: Mapping[str, str]) -> Choice:
    """The provider and model of new threads.

    What is set counts; else OpenAI if its key is in ``environment``; else the rehearsed model. Raises ChoiceError.
    """
    provider = settings.model_provider or (OPENAI if environment.get(OPENAI_KEY, "").strip() else REHEARSAL)
    known = known_providers(settings, "")
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
    return Choice(provider=provider, model=model)
