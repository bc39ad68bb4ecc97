"""Where randomness comes from, so that a seed can replace it."""

from __future__ import annotations

import random
from typing import Protocol


class Entropy(Protocol):
    """Ids, secrets and jitter."""

    def uuid7(self) -> str:
        """A new UUIDv7 in its usual 36-character form: sortable by creation time (RFC 9562 §5.7)."""
        ...

    def token(self, nbytes: int) -> bytes:
        """Bytes fit for a secret."""
        ...

    @property
    def random(self) -> random.Random:
        """For jitter and sampling, never for secrets."""
        ...
