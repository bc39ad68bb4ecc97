"""Poison: a message that crashes its actor each time it is handled must not be handled for ever.

Judged on logged inputs: the caller gives each input a key that survives a restart (its place in the log, a client's
submission id, or `message_key`), tells when handling begins and ends, and whoever watches the actor tells of crashes.
An input under way in `POISON_CRASHES` crashes is quarantined: the actor that is rebuilt from its log skips and records
it instead of dying of it again.

Pure: no trio, no clock. Rejected: suspecting the whole batch an actor had in hand (two crashes would then quarantine
the innocent neighbours too).
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from messages.base import Message

POISON_CRASHES = 2
"""Once can be chance (a full disk, a race); twice on the same input is the input."""

REMEMBERED_KEYS = 256
"""Suspects and convicts kept per actor. The oldest suspects go first; an actor with more has other troubles."""

_encoder = msgspec.msgpack.Encoder(enc_hook=repr)


def message_key(message: Message) -> str:
    """A key from the message's type and content, for inputs that have no identity of their own. Costs ~2 µs."""
    digest = blake2b(_encoder.encode(message), digest_size=12, person=type(message).__name__[:16].encode())
    return f"{type(message).__name__}:{digest.hexdigest()}"


class Poison:
    """One actor's suspects, across its lives."""

    __slots__ = ("_crashes", "_quarantined", "_under_way")

    def __init__(self, quarantined: tuple[str, ...] = ()) -> None:
        self._under_way: str | None = None
        self._crashes: dict[str, int] = {}
        self._quarantined: dict[str, None] = dict.fromkeys(quarantined)

    def begin(self, key: str) -> bool:
        """Handling of ``key`` begins. False: it is quarantined; record that and handle the next input instead."""
        if key in self._quarantined:
            return False
        self._under_way = key
        return True

    def end(self) -> None:
        """Handling ended without a crash; whatever it was under suspicion for was chance."""
        if self._under_way is not None:
            self._crashes.pop(self._under_way, None)
            self._under_way = None

    def crashed(self) -> str | None:
        """The actor crashed. The key under way, if this crash quarantined it."""
        key, self._under_way = self._under_way, None
        if key is None:
            return None
        count = self._crashes.pop(key, 0) + 1
        if count >= POISON_CRASHES:
            self._quarantined[key] = None
            if len(self._quarantined) > REMEMBERED_KEYS:
                del self._quarantined[next(iter(self._quarantined))]
            return key
        self._crashes[key] = count
        if len(self._crashes) > REMEMBERED_KEYS:
            del self._crashes[next(iter(self._crashes))]
        return None

    @property
    def quarantined(self) -> tuple[str, ...]:
        """The keys that will not be handled again, oldest first; give them to a new `Poison` after a restart."""
        return tuple(self._quarantined)
