"""`[features]`: what can be switched on and off, each with how ready it is.

A flag is a field: its default, its stage (as clients know it, in ``Meta(extra=…)``) and a text below it. It has to
switch something: `experimentalFeature/list` shows it to people.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_type_hints

import msgspec

FeatureStage = Literal["stable", "beta", "underDevelopment", "deprecated", "removed"]

STABLE = msgspec.Meta(extra={"stage": "stable"})


class Features(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches."""

    debuggable: Annotated[bool, STABLE] = False
    """Other programs of yours may look into the daemon: debuggers, profilers, core files. So may a model's commands
    then, and find its keys."""
    live_reload: Annotated[bool, STABLE] = True
    """Files that change are read again while the daemon runs. Off: only what clients write is in force before the next
    start."""
    project_settings: Annotated[bool, STABLE] = True
    """`.callboard/config.toml` of trusted projects counts for threads that work there."""


def stage_of(name: str) -> FeatureStage:
    """How ready a feature is."""
    annotation = get_type_hints(Features, include_extras=True)[name]
    return next(meta.extra["stage"] for meta in annotation.__metadata__ if meta.extra and "stage" in meta.extra)
