"""UUIDv7: ids that sort by the time they were made (RFC 9562 §5.7), strictly increasing within one process.

    48 bits   Unix time in ms
     4 bits   version 7
    12 bits ┐
     2 bits │ variant
    30 bits ┘ 42-bit counter: random at the start of each ms (top bit 0), then counting up (RFC 9562 §6.2, method 1)
    32 bits   random

The time never goes back: while the system's clock is behind the last id's, the counter goes on counting. Rejected:
random bits only (two ids of one millisecond would not sort) and a wider counter (the random tail keeps ids of two
daemons apart).
"""

from __future__ import annotations

from collections.abc import Callable

_COUNTER_BITS = 42
_COUNTER_END = 1 << _COUNTER_BITS


class Uuid7Source:
    """Makes ids from a clock and a source of random bits; not for use from several threads at once."""

    def __init__(self, now: Callable[[], float], random_bits: Callable[[int], int]) -> None:
        """``now`` gives Unix seconds, ``random_bits(n)`` an integer of n random bits."""
        self._now = now
        self._random_bits = random_bits
        self._millisecond = -1
        self._counter = 0

    def next(self) -> str:
        """The next id in its usual 36-character form."""
        millisecond = int(self._now() * 1000)
        if millisecond > self._millisecond:
            self._millisecond = millisecond
            self._counter = self._random_bits(_COUNTER_BITS - 1)
        else:
            self._counter += 1
            if self._counter == _COUNTER_END:  # 2 ** 41 ids within a millisecond, or a clock that stands still
                self._millisecond += 1
                self._counter = self._random_bits(_COUNTER_BITS - 1)
        number = (
            (self._millisecond & 0xFFFF_FFFF_FFFF) << 80
            | 0x7 << 76
            | (self._counter >> 30) << 64
            | 0b10 << 62
            | (self._counter & 0x3FFF_FFFF) << 32
            | self._random_bits(32)
        )
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
