"""The numbered cases: each a function that asserts, with a control, under an id, with a sentence of what it says.

``docs/scripts-security-matrix.md`` is the table of them; `test_matrix` keeps it true.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from tests.actors.sandbox_pool.security.jail import Jail

COUNT = 20

Check = Callable[[Jail], Awaitable[None]]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    asserts: str
    control: str
    """How the case shows that the attack works where the measure is missing."""
    check: Check


CASES: dict[str, Case] = {}


def case(id_: str, asserts: str, *, control: str) -> Callable[[Check], Check]:
    """Register a check."""

    def register(check: Check) -> Check:
        assert id_ not in CASES, f"{id_} is taken"
        CASES[id_] = Case(id=id_, asserts=asserts, control=control, check=check)
        return check

    return register
