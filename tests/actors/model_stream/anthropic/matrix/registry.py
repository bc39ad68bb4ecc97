"""The numbered cases of the Messages wire: each a function that asserts, under an id, with a sentence of what it says.

``docs/anthropic-matrix.md`` is the table of them; `test_table` keeps it true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

COUNTS = {"RF": 15, "RP": 20, "SE": 25, "TC": 35, "EH": 20, "TU": 5, "CX": 5, "IT": 10}
"""How many cases each chapter has."""

CHAPTERS = {
    "RF": "Request formatting",
    "RP": "Responses that are not streamed",
    "SE": "Streaming",
    "TC": "Tool calling",
    "EH": "Errors, HTTP codes, limits",
    "TU": "Token usage",
    "CX": "Cancellation",
    "IT": "End to end, on all three wires",
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    asserts: str
    check: Callable[[], Any]


CASES: dict[str, Case] = {}


def case(id_: str, asserts: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a check. A coroutine function is run under trio."""

    def register(check: Callable[[], Any]) -> Callable[[], Any]:
        assert id_ not in CASES, f"{id_} is taken"
        CASES[id_] = Case(id=id_, asserts=asserts, check=check)
        return check

    return register


def chapter(prefix: str, *, of: str = "", without: str = "-") -> pytest.MarkDecorator:
    """The cases of one chapter, as parameters of a test: those of the module ``of``, or of all but ``without``."""
    wanted = [
        each
        for each in CASES.values()
        if each.id.startswith(prefix)
        and each.check.__module__.endswith(of)
        and not each.check.__module__.endswith(without)
    ]
    return pytest.mark.parametrize("check", [pytest.param(each.check, id=each.id) for each in wanted])
