"""The matrix is whole, and its table in the documentation is true."""

from __future__ import annotations

from tests.actors.model_stream.anthropic.matrix.registry import CASES, COUNTS
from tests.actors.model_stream.anthropic.matrix.table import MODULES, TABLE, table


def test_every_number_has_its_case() -> None:
    expected = {f"{prefix}-{number:02}" for prefix, count in COUNTS.items() for number in range(1, count + 1)}
    assert CASES.keys() == expected
    assert {each.check.__module__ for each in CASES.values()} == {module.__name__ for module in MODULES}


def test_the_documentation_says_what_each_asserts() -> None:
    assert TABLE.read_text() == table()
