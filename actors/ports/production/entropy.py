"""The operating system's randomness."""

from __future__ import annotations

import random
import secrets
import time

from actors.ports.uuid7 import Uuid7Source


class SystemEntropy:
    """The `Entropy` port. ``random`` is an ordinary generator (jitter needs speed, not secrecy), seeded by the OS."""

    def __init__(self) -> None:
        self._random = random.Random()
        self._uuids = Uuid7Source(time.time, self._random.getrandbits)

    def uuid7(self) -> str:
        """See `actors.ports.entropy.Entropy`. Unique, not secret: whoever sees some ids may guess the next."""
        return self._uuids.next()

    def token(self, nbytes: int) -> bytes:
        """See `actors.ports.entropy.Entropy`."""
        return secrets.token_bytes(nbytes)

    @property
    def random(self) -> random.Random:
        return self._random
