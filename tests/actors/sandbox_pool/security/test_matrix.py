"""S1 to S20, and that the document says what they say."""

from __future__ import annotations

import pytest

from tests.actors.sandbox_pool.security.jail import jail
from tests.actors.sandbox_pool.security.registry import CASES, COUNT, Case
from tests.actors.sandbox_pool.security.table import TABLE, table


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES.values()])
async def test_contained(case: Case) -> None:
    async with jail() as place:
        await case.check(place)


def test_the_numbers_are_complete_and_the_document_agrees() -> None:
    assert set(CASES) == {f"S{number}" for number in range(1, COUNT + 1)}
    assert TABLE.read_text() == table()
