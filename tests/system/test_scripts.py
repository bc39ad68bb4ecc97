"""Scripts in the real daemon, with its confined workers: rows I of docs/scripts-matrix.md."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.system.daemon import CALLBOARD, MARK, clean_environment

SECONDS = 60.0
"""For a daemon's start, two turns and a script: a second on a quiet machine. More means that it hangs."""

PLAIN = """\
script: const patch = await tools.applyPatch({patch: `*** Begin Patch
*** Add File: made.txt
+made
*** End Patch`});
const result = await tools.exec({command: ["ls"]});
return {patch: patch.includes("Success"), result};"""


def run(tmp_path: Path, prompt: str, *flags: str) -> str:
    """What `callboard exec` prints, with a daemon and a home of its own."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir(mode=0o700)
    folder.mkdir()
    done = subprocess.run(
        [str(CALLBOARD), "exec", "--approve-all", "-C", str(folder), *flags, prompt],
        env={**clean_environment(), "CALLBOARD_HOME": str(home), "COLUMNS": "300", MARK: "scripts"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("row", "wire"),
    [("I1", "responses"), ("I2", "chat"), ("I3", "messages")],
    ids=["I1", "I2", "I3"],
)
def test_the_plain_use_works_on_every_wire(row: str, wire: str, tmp_path: Path) -> None:
    printed = run(tmp_path, PLAIN, "--wire", wire)
    assert '{"patch":true,"result":{"output":"made.txt\\n","exitCode":0}}' in printed, row
    assert (tmp_path / "work" / "made.txt").read_text() == "made\n"


@pytest.mark.parametrize("row", ["I4"], ids=["I4"])
def test_a_script_that_never_ends_is_ended_and_told(row: str, tmp_path: Path) -> None:
    printed = run(tmp_path, "script: for (;;) {}")
    assert 'status="exceeded"' in printed, row
    assert "limit error" in printed
