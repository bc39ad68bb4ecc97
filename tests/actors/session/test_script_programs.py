"""A bounded sample of `script_programs`, the same each day; more of them with ``python -m``."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.actors.session.script_programs import PROPERTIES

EXAMPLES = {"one life": 30, "deaths": 25, "another program": 15}


@pytest.mark.parametrize("name", list(PROPERTIES))
def test_random_programs_keep_the_laws_of_scripts(name: str) -> None:
    settings(max_examples=EXAMPLES[name], deadline=None, derandomize=True, database=None)(PROPERTIES[name])()
