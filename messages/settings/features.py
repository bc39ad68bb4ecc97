"""`[features]`: what can be switched on and off, each with how ready it is.

A flag is a field: its default, its stage (as clients know it, in ``Meta(extra=…)``) and a text below it. It has to
switch something: `experimentalFeature/list` shows it to people.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

FeatureStage = Literal["stable", "beta", "underDevelopment", "deprecated", "removed"]

STABLE = msgspec.Meta(extra={"stage": "stable"})
BETA = msgspec.Meta(extra={"stage": "beta"})


class Features(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches."""

    live_reload: Annotated[bool, STABLE] = True
    """Files that change are read again while the daemon runs. Off: only what clients write is in force before the next
    start."""
    project_settings: Annotated[bool, STABLE] = True
    """`.callboard/config.toml` of trusted projects counts for threads that work there."""
