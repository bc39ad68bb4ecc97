"""What providers list of their models, kept from one start of the daemon to the next.

Below the settings and above the bundled catalogue: a provider knows the window of its own models better than a list
that ages with us, and you know best. One file per provider under ``$CALLBOARD_HOME/models``, written by the daemon in
the background when it has started (for the provider in use, once a day) and by ``callboard models --provider ID``. A
provider that does not answer changes nothing.

Rejected: asking when a client wants the list (it would wait for a provider), and believing a list that leaves a known
model out (many list only what a key may use today, and aliases not at all).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from actors.model_stream.local.listing import ListedModel
from messages.settings import ModelSettings

FOLDER = "models"

FRESH_SECONDS = 24 * 3600.0
"""Models come every few weeks; a day old is fresh."""

MAX_MODELS = 5000
"""Kept of one provider; the longest list (a gateway's) has some hundred."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's."""

    at: float
    """Unix seconds."""
    models: dict[str, ModelSettings]


_decoder: msgspec.json.Decoder[Listing] = msgspec.json.Decoder(Listing)


def file_of(provider: str) -> str:
    """The name of a provider's file in the folder."""
    return f"{_UNSAFE.sub('_', provider)}.json"


def listing(models: Iterable[ListedModel], *, at: float) -> Listing:
    """What is worth keeping of a list: what says more than a name, and the names."""
    kept: dict[str, ModelSettings] = {}
    for model in models:
        if len(kept) < MAX_MODELS:
            kept[model.id] = ModelSettings(context_window=model.context_window, images=model.images)
    return Listing(at=at, models=kept)


def encode(found: Listing) -> bytes:
    return msgspec.json.encode(found)


def decode(data: bytes) -> Listing | None:
    """None for a file that is none of ours."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_fresh(found: Listing | None, *, now: float) -> bool:
    """Whether it need not be asked for again. A clock that was set back makes it stale."""
    return found is not None and 0 <= now - found.at < FRESH_SECONDS


def layered(*layers: Mapping[str, ModelSettings]) -> dict[str, ModelSettings]:
    """Later layers over earlier ones, field by field."""
    merged: dict[str, ModelSettings] = {}
    for layer in layers:
        for name, said in layer.items():
            before = merged.get(name)
            merged[name] = said if before is None else over(before, said)
    return merged


def over(below: ModelSettings, said: ModelSettings) -> ModelSettings:
    """``said`` where it says something."""
    fields = {name: value for name in said.__struct_fields__ if (value := getattr(said, name)) is not None}
    changed: ModelSettings = msgspec.structs.replace(below, **fields)
    return changed
