"""Call ids as a wire wants them. A call keeps the id it was made with wherever that is allowed.

Servers differ: one takes exactly nine letters and digits, one at most 64 characters, one no dots; and all want each id
once in a request, where old proxies call every call "0". So an id that does not fit, or comes a second time, is
replaced by a hash of itself and of how often it has come: the same in every request, whatever follows.

Rejected: numbering the calls (an id would depend on what compaction left before it), and cutting long ids (two that
differ at the end would become one).
"""

from __future__ import annotations

import hashlib
import re
import string

import msgspec

_DIGITS = string.digits + string.ascii_letters
"""62 of them: letters and digits are allowed everywhere."""


class IdForm(msgspec.Struct, frozen=True, kw_only=True):
    """Which ids a wire accepts, and what one of ours looks like there."""

    accepted: str
    """A regular expression for a whole id."""
    prefix: str = ""
    digits: int = 24
    """Letters and digits behind the prefix: 24 are 142 bits, and even 9 do not collide within a conversation."""


class CallIds:
    """The ids of one request, in the order of its history. Mutable."""

    def __init__(self, form: IdForm) -> None:
        self._form = form
        self._accepted = re.compile(form.accepted)
        self._times: dict[str, int] = {}
        self._latest: dict[str, str] = {}
        self._used: set[str] = set()

    def fork(self) -> CallIds:
        """One that goes on from here by itself."""
        fork = CallIds.__new__(CallIds)
        fork._form, fork._accepted = self._form, self._accepted
        fork._times, fork._latest, fork._used = self._times.copy(), self._latest.copy(), self._used.copy()
        return fork

    def call(self, call_id: str) -> str:
        """The id of a call that is made now."""
        times = self._times[call_id] = self._times.get(call_id, 0) + 1
        fits = times == 1 and self._accepted.fullmatch(call_id) is not None and call_id not in self._used
        made = call_id if fits else self._made(call_id, times)
        self._used.add(made)
        self._latest[call_id] = made
        return made

    def answered(self, call_id: str) -> str:
        """The id under which the latest call of that id was made; that id itself if there was none."""
        return self._latest.get(call_id, call_id)

    def _made(self, call_id: str, times: int) -> str:
        number = int.from_bytes(hashlib.sha256(f"{times} {call_id}".encode("utf-8", "surrogatepass")).digest())
        digits = []
        for _ in range(self._form.digits):
            number, digit = divmod(number, len(_DIGITS))
            digits.append(_DIGITS[digit])
        return self._form.prefix + "".join(digits)
