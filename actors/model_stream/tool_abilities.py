"""What a model can do with tools at its provider: the wire that carries them, and the needs it cannot meet. Pure.

The catalogue says what models do, profiles say what providers do; what neither knows is assumed to be able to run
commands, write patches and see images, and not to search the web: a hosted tool that a server does not know fails the
whole request, while the others cost only a call that comes to nothing.
"""

from __future__ import annotations

from actors.model_stream.catalogue import find
from actors.model_stream.profiles import profile_of
from messages.model import ToolNeed
from messages.settings import ProviderSettings
from messages.tool_set import Abilities

SEARCHING = frozenset(("openai", "anthropic"))
"""Providers that search the web for their models, on their own wire (Responses, Messages). Others that do, say so with
`web_search = true` in their settings."""


def tool_abilities(provider_id: str, provider: ProviderSettings, model: str) -> Abilities:
    """What this model can do there."""
    described = find(provider_id, model, provider.models)
    lacks: list[ToolNeed] = []
    if not described.commands:
        lacks.append("commands")
    if not described.patches:
        lacks.append("patches")
    if not described.images:
        lacks.append("images")
    if not searches(provider_id, provider):
        lacks.append("web_search")
    return Abilities(wire=provider.wire_api, lacks=tuple(lacks))


def searches(provider_id: str, provider: ProviderSettings) -> bool:
    """Whether a search can be offered there. The Chat Completions wire has no form for it."""
    if provider.wire_api == "chat":
        return False
    if provider.web_search is not None:
        return provider.web_search
    return provider_id in SEARCHING or profile_of(provider_id, provider).id in SEARCHING
