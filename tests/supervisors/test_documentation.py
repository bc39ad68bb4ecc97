"""`docs/supervision.md` names a test for every semantic; here it is held to that."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<semantic>[^|]+) \| `(?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)` \|$")


@cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rows() -> list[re.Match[str]]:
    table = (ROOT / "docs/supervision.md").read_text().partition("## Each semantic and its test")[2]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    matches = [ROW.match(line) for line in lines]
    assert all(matches), f"not a row of this table: {lines[matches.index(None)]}"
    return [match for match in matches if match]


def test_every_semantic_names_a_test_that_exists() -> None:
    missing = [row[0] for row in rows() if row["test"] not in named_in(row["file"])]
    assert not missing


def test_every_word_of_supervision_has_its_row() -> None:
    semantics = " ".join(row["semantic"] for row in rows())
    words = (
        "permanent transient temporary one_for_one one_for_all rest_for_one dynamic intensity period backoff "
        "init escalation poison significant stuck retry_safe once watch ask request coalesce reject wait "
        "introspection loop dead"
    )
    assert [word for word in words.split() if word not in semantics] == []
