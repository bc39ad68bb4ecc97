"""The models on offer."""

from __future__ import annotations

from messages.client.item import Wire


class ModelListParams(Wire, frozen=True, kw_only=True):
    cursor: str | None = None
    limit: int | None = None
    include_hidden: bool | None = None
    model_provider: str | None = None


class EffortOption(Wire, frozen=True, kw_only=True):
    reasoning_effort: str
    description: str


class ModelEntry(Wire, frozen=True, kw_only=True):
    id: str
    model: str
    display_name: str
    description: str
    hidden: bool
    is_default: bool
    default_reasoning_effort: str
    supported_reasoning_efforts: tuple[EffortOption, ...]
    input_modalities: tuple[str, ...] | None = None


class ModelListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[ModelEntry, ...]
    next_cursor: str | None = None
