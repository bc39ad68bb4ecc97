"""What the pages say of the wire is what the code does."""

from __future__ import annotations

import re

from actors.gateway.methods import ALL
from tests.conformance.differences import DIFFERENCES, DOCUMENT, document


def test_the_page_lists_the_declared_differences_as_they_are() -> None:
    page = DOCUMENT.read_text()
    assert document(page) == page, "run: python -m tests.conformance.differences"


def test_each_difference_has_a_name_of_its_own_and_something_it_applies_to() -> None:
    assert len({each.name for each in DIFFERENCES}) == len(DIFFERENCES)
    for each in DIFFERENCES:
        assert each.not_sent or each.added or each.swapped or each.member, each.name


def test_the_page_lists_the_methods_there_are() -> None:
    _, _, methods = DOCUMENT.read_text().partition("## Methods")
    table = [line for line in methods.partition("## ")[0].splitlines() if line.startswith("| ")]
    listed = re.findall(r"`([^`]+)`", "\n".join(table))
    assert sorted(listed) == sorted([*ALL, "initialize"])
