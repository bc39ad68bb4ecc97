"""The models we know something about: a short list, because it ages, and a sensible answer for all the others.

What depends on it is small: what `model/list` offers, how full the context window is shown, whether a reasoning effort
is sent. An unknown slug works as well as a known one; the provider has the last word on what it can do. Source of the
bundled entries: OpenAI's and Anthropic's published model pages and the catalogue of the Codex clients, November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

from actors.model_stream.anthropic.abilities import Abilities, abilities_of, family_of
from messages.client.model import EffortOption, ModelEntry
from messages.settings import ModelSettings

FALLBACK_CONTEXT_WINDOW = 128_000
"""For a model nobody has described: what nearly every model that can use tools has at least. Settings override it."""

EFFORTS = {
    "none": "no reasoning",
    "minimal": "hardly any reasoning: fastest",
    "low": "some reasoning: fast",
    "medium": "a balance of speed and thoroughness",
    "high": "thorough: for harder tasks",
    "xhigh": "very thorough: for the hardest tasks",
    "max": "as thorough as the model can be, whatever it takes",
}
"""What a client may offer, with words for people."""


NOTHING_SAID: Mapping[str, ModelSettings] = MappingProxyType({})


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model."""

    slug: str
    provider: str
    display_name: str
    description: str
    efforts: tuple[str, ...] = ()
    """Empty: none is sent unless the user asks for one."""
    default_effort: str | None = None
    context_window: int = FALLBACK_CONTEXT_WINDOW
    """Tokens of input that the model takes."""
    max_output_tokens: int | None = None
    """What it writes at most, for wires that want a limit; None: that wire's own fallback."""
    images: bool = True
    """It sees images."""
    commands: bool = True
    """It knows how to run commands."""
    patches: bool = True
    """It knows the format of patches."""
    known: bool = True
    """False for one we made up from its slug."""


def _claude(slug: str, display_name: str, description: str) -> Model:
    """A Claude model, from the table of what each of them takes."""
    abilities = abilities_of(slug)
    return Model(
        slug=slug,
        provider="anthropic",
        display_name=display_name,
        description=description,
        efforts=_claude_efforts(abilities),
        default_effort=None if abilities.thinking == "never" else abilities.default_effort or "none",
        context_window=abilities.context_window,
        max_output_tokens=abilities.max_output_tokens,
    )


def _claude_efforts(abilities: Abilities) -> tuple[str, ...]:
    if abilities.thinking == "never":
        return ()
    levels = abilities.efforts or ("low", "medium", "high")
    return levels if abilities.always_thinks else ("none", *levels)


_WIDE = ("low", "medium", "high", "xhigh", "max")

BUNDLED: tuple[Model, ...] = (
    Model(
        slug="gpt-6.1-sol",
        provider="openai",
        display_name="GPT-6.1-Sol",
        description="OpenAI's recommended model for coding agents.",
        efforts=_WIDE,
        default_effort="low",
        context_window=272_000,
    ),
    Model(
        slug="gpt-6-astra",
        provider="openai",
        display_name="GPT-6-Astra",
        description="OpenAI's largest model, for the hardest work.",
        efforts=_WIDE,
        default_effort="low",
        context_window=272_000,
    ),
    Model(
        slug="gpt-6-sol",
        provider="openai",
        display_name="GPT-6-Sol",
        description="The generation before GPT-6.1-Sol.",
        efforts=_WIDE,
        default_effort="medium",
        context_window=272_000,
    ),
    Model(
        slug="gpt-6-luna",
        provider="openai",
        display_name="GPT-6-Luna",
        description="Smaller and faster, for everyday work.",
        efforts=_WIDE,
        default_effort="medium",
        context_window=272_000,
    ),
    Model(
        slug="gpt-5.5",
        provider="openai",
        display_name="GPT-5.5",
        description="An earlier generation.",
        efforts=("low", "medium", "high", "xhigh"),
        default_effort="medium",
        context_window=272_000,
    ),
    _claude("claude-opus-5-5", "Claude Opus 5.5", "Anthropic's recommended model for long-running coding agents."),
    _claude("claude-sonnet-5-5", "Claude Sonnet 5.5", "Anthropic's balance of speed and intelligence."),
    _claude("claude-haiku-5-5", "Claude Haiku 5.5", "Anthropic's fast model, for everyday work."),
    _claude("claude-fable-5-2", "Claude Fable 5.2", "Anthropic's largest model, for the hardest work."),
    _claude("claude-opus-5", "Claude Opus 5", "The generation before Opus 5.5."),
    _claude("claude-sonnet-5", "Claude Sonnet 5", "The generation before Sonnet 5.5."),
    _claude("claude-haiku-4-5", "Claude Haiku 4.5", "An earlier generation."),
    Model(
        slug="rehearsal",
        provider="rehearsal",
        display_name="Rehearsed model",
        description="Embedded and scripted: needs no key, and knows only its scenes.",
        context_window=272_000,
        images=False,
    ),
)
"""In the order they are offered; the first of a provider is its default."""

SOLD_BY = {"chatgpt": "openai", "claude": "anthropic"}
"""A subscription's provider -> the one whose models it has."""


MODELS_REMEMBERED = 256
"""Names for which the table is not searched again; more than one daemon's threads use at a time."""


def find(provider: str, slug: str, said: Mapping[str, ModelSettings] = NOTHING_SAID) -> Model:
    """The model of that name, or what may be assumed of one that nobody has described.

    ``said``: what settings and the provider's own list say of its models (`ProviderSettings.models`).
    """
    known = _bundled(provider, slug)
    told = said.get(slug)
    if told is None:
        return known
    fields = {name: value for name in told.__struct_fields__ if (value := getattr(told, name)) is not None}
    if not known.known and "description" not in fields:
        fields["description"] = "As the settings or its provider describe it."
    if told.efforts is not None and told.default_effort is None and known.default_effort not in told.efforts:
        fields["default_effort"] = told.efforts[0] if told.efforts else None
    described: Model = msgspec.structs.replace(known, **fields, known=known.known or bool(fields.get("context_window")))
    return described


@lru_cache(maxsize=MODELS_REMEMBERED)
def _bundled(provider: str, slug: str) -> Model:
    """What the table comes to for a name. A request asks for it several times, always for the same few."""
    for model in BUNDLED:
        if model.provider == provider and model.slug == slug:
            return model
    # The same model behind another provider (a gateway, Azure) is still that model, but for the vendor's own prefix.
    for model in BUNDLED:
        if model.slug == slug.rpartition("/")[2]:
            return msgspec.structs.replace(model, slug=slug, provider=provider)
    if family_of(slug) is not None:
        described = _claude(slug, slug, "An earlier Claude model, or one by another name.")
        return msgspec.structs.replace(described, provider=provider)
    return Model(
        slug=slug,
        provider=provider,
        display_name=slug,
        description="Not in the catalogue: defaults are assumed.",
        efforts=(),
        known=False,
    )


def default_model(provider: str) -> str | None:
    """The slug to use when none is set; None when the provider has no model that could be assumed."""
    maker = SOLD_BY.get(provider, provider)
    return next((model.slug for model in BUNDLED if model.provider == maker), None)


def of_provider(
    provider: str, chosen: str, said: Mapping[str, ModelSettings] = NOTHING_SAID, extra: Iterable[str] = ()
) -> tuple[Model, ...]:
    """The models of a provider one may choose from: the bundled ones, ``extra``, and ``chosen`` in any case."""
    maker = SOLD_BY.get(provider, provider)
    slugs = [model.slug for model in BUNDLED if model.provider == maker]
    slugs += [slug for slug in extra if slug not in slugs]
    if chosen and chosen not in slugs:
        slugs.insert(0, chosen)
    return tuple(find(provider, slug, said) for slug in slugs)


def offered(
    provider: str, chosen: str, said: Mapping[str, ModelSettings] = NOTHING_SAID, extra: Iterable[str] = ()
) -> tuple[ModelEntry, ...]:
    """For `model/list`: the models of a provider, ``chosen`` among them, marked as the default."""
    models = of_provider(provider, chosen, said, extra)
    return tuple(_entry(model, is_default=model.slug == chosen) for model in models)


def _entry(model: Model, *, is_default: bool) -> ModelEntry:
    # Clients insist on an effort; a model that knows none gets the one that says so.
    efforts = model.efforts or ("none",)
    return ModelEntry(
        id=model.slug,
        model=model.slug,
        display_name=model.display_name,
        description=model.description,
        hidden=False,
        is_default=is_default,
        default_reasoning_effort=model.default_effort or efforts[0],
        supported_reasoning_efforts=tuple(
            EffortOption(reasoning_effort=effort, description=EFFORTS.get(effort, effort)) for effort in efforts
        ),
        input_modalities=("text", "image") if model.images else ("text",),
    )
