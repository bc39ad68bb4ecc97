"""docs/approvals.md shows the approval table as it is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from actors.tool_worker.approval import MEANINGS, TABLE, Situation
from actors.tool_worker.confinement.ground import PROTECTED_NAMES
from actors.tool_worker.rules.language import PARAMETERS
from messages.approval import PolicyName

DOCUMENT = Path(__file__).parents[3] / "docs/approvals.md"


def table() -> str:
    """The table as the document has it."""
    names = get_args(PolicyName)
    rows = [
        f"| a call is in this situation | {' | '.join(f'`{name}`' for name in names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    rows += [
        f"| {MEANINGS[situation]} | {' | '.join(TABLE[situation][name] for name in names)} |"
        for situation in get_args(Situation)
    ]
    return "\n".join(rows) + "\n"


def test_the_document_has_the_table_and_the_names() -> None:
    text = DOCUMENT.read_text()
    assert table() in text
    for name in (*PROTECTED_NAMES, *PARAMETERS):
        assert f"`{name}" in text, name
