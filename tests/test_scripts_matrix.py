"""docs/scripts-matrix.md and the tests that it names agree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    ROOT / "tests/actors/session/test_scripts.py",
    ROOT / "tests/actors/session/test_own_scripts.py",
    ROOT / "tests/actors/session/test_script_handles.py",
    ROOT / "tests/actors/session/test_spawns.py",
    ROOT / "tests/actors/session/test_writing.py",
    ROOT / "tests/system/test_scripts.py",
    ROOT / "tests/system/test_script_handles.py",
)


def test_every_row_of_the_matrix_is_one_test_and_every_test_a_row() -> None:
    table = re.findall(r"^\| ([FI]\d+) \|", (ROOT / "docs/scripts-matrix.md").read_text(), re.MULTILINE)
    source = "".join(path.read_text() for path in TESTS)
    named = [
        *re.findall(r'@row\("(F\d+)"\)', source),
        *(row for ids in re.findall(r"ids=\[([^\]]*)\]", source) for row in re.findall(r'"(I\d+)"', ids)),
    ]
    assert table == named
    assert len(set(table)) == len(table)
    assert [row for row in table if row[0] == "F"] == [f"F{number}" for number in range(1, 53)]
