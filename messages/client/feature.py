"""Feature flags as clients list and switch them."""

from __future__ import annotations

from messages.client.item import Wire
from messages.settings.features import FeatureStage


class FeatureListParams(Wire, frozen=True, kw_only=True):
    """There are few: all come on one page."""

    cursor: str | None = None
    limit: int | None = None
    thread_id: str | None = None


class Feature(Wire, frozen=True, kw_only=True):
    name: str
    stage: FeatureStage
    enabled: bool
    default_enabled: bool
    description: str | None = None


class FeatureListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[Feature, ...]
    next_cursor: str | None = None


class FeatureEnablement(Wire, frozen=True, kw_only=True):
    """What to switch, and the answer: how it is now."""

    enablement: dict[str, bool]
