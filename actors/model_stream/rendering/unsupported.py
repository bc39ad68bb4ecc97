"""A request that a wire has no words for. A knob a wire lacks is left out; a feature it lacks is this error."""

from __future__ import annotations


class UnsupportedError(Exception):
    """The text says what cannot be asked of whom and what to do instead. Raised before anything is sent."""
