"""What you know of a model that the catalogue does not, or knows better: `[models."NAME"]`."""

from __future__ import annotations

import msgspec


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model, at every provider; under `[model_providers.ID.models."NAME"]` at that one alone. What is left out is
    as the provider lists it, or else as the catalogue knows it."""

    display_name: str | None = None
    """For people."""
    description: str | None = None
    """One sentence, shown where models are chosen."""
    context_window: int | None = None
    """Tokens of input that it takes."""
    max_output_tokens: int | None = None
    """Tokens that it writes at most, for APIs that want a limit."""
    images: bool | None = None
    """It sees images."""
    commands: bool | None = None
    """It knows how to run commands."""
    patches: bool | None = None
    """It knows the format of patches."""
    efforts: tuple[str, ...] | None = None
    """The levels of effort it knows, from low to high; none: it has no levels."""
    default_effort: str | None = None
    """The level it has unless one is chosen."""
