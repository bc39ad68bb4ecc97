"""A download as it goes on: layers, each with its own total, that come interleaved."""

from __future__ import annotations

import msgspec


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a model. ``total`` is 0 while nobody knows it."""

    digest: str
    total: int
    completed: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a download has come."""

    status: str
    layers: tuple[Layer, ...] = ()
    """In the order they began."""
    done: bool = False

    @property
    def total(self) -> int:
        """Bytes of all layers known so far."""
        return sum(layer.total for layer in self.layers)

    @property
    def completed(self) -> int:
        return sum(layer.completed for layer in self.layers)


class PullError(Exception):
    """The download failed; the text is the server's, with what to do."""
