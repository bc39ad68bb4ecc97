"""`callboard sandbox` and what `callboard doctor` says of it, as a person at a terminal has them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.system.daemon import CALLBOARD, clean_environment

SECONDS = 30.0


def callboard(home: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "CALLBOARD_HOME": str(home)}
    command = (str(CALLBOARD), *arguments)
    return subprocess.run(
        command, env=environment, input=said, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture
def mechanism(tmp_path: Path) -> str:
    """What doctor names; skips where nothing can confine."""
    report = json.loads(callboard(tmp_path, "doctor", "--json").stdout)
    check = report["checks"]["sandbox"]
    name: str = check["summary"].partition(":")[0]
    assert any(key.startswith("gap ") for key in check["details"])
    if name == "none":
        pytest.skip(f"nothing can confine a command here: {check['details']}")
    return name


def test_a_command_runs_in_the_sandbox_with_its_own_input_output_and_exit_code(tmp_path: Path, mechanism: str) -> None:
    workspace, home = tmp_path / "workspace", tmp_path / "home"
    workspace.mkdir()
    home.mkdir()  # below a temporary folder, and not to be written all the same
    script = f"cat > new && cat new && echo x > {home}/config.toml || exit 7"
    done = callboard(
        home, "sandbox", "--mode", "workspace-write", "-C", str(workspace), "--", "sh", "-c", script, said="said\n"
    )
    assert (done.returncode, done.stdout) == (7, "said\n"), (mechanism, done.stderr)
    assert (workspace / "new").read_text() == "said\n"
    assert not (home / "config.toml").exists()
    read_only = callboard(home, "sandbox", "-C", str(workspace), "--", "sh", "-c", "echo x > new")
    assert read_only.returncode != 0
    assert "probably denied by the read-only sandbox: no file can be changed" in read_only.stderr
    assert (workspace / "new").read_text() == "said\n"
    missing = callboard(home, "sandbox", "-C", str(workspace), "--", "no-such-program")
    assert missing.returncode == 1
    assert missing.stderr.startswith("callboard sandbox: the program 'no-such-program' is in no folder of PATH")
