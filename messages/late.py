"""A decoder that is built when it is first used.

Building one walks every type below the one it is for: a millisecond or several for our larger unions, which few starts
of the daemon need before the first client is answered. Rejected: importing the modules later (their names are wanted
everywhere), and one cache by type (a lookup for each line of a rollout).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.json import Decoder

T = TypeVar("T")

Buffer = bytes | bytearray | memoryview | str | msgspec.Raw


class LateDecoder(Generic[T]):
    """Stands for `msgspec.json.Decoder`; once used, it costs one attribute more than that."""

    def __init__(self, kind: Any) -> None:
        self.type = kind

    @cached_property
    def decode(self) -> Callable[[Buffer], T]:
        """As the decoder's own, errors included."""
        decoder: Decoder[T] = Decoder(self.type)
        return decoder.decode
