"""The recorded apply_patch scenarios: each run as the stand-alone command, on a file system in memory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from actors.tool_worker.patch.command import CommandResult, run_command
from tests.actors.tool_worker.memory_files import MemoryFiles
from tests.reference import reference_path, reference_root

SCENARIOS = "core/apply_patch_scenarios"
CWD = "/home/dev/my project"


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    rc: int
    stdout: str
    stderr: str


def _scenario_names() -> list[str]:
    root = reference_root()
    if root is None or not (root / SCENARIOS).is_dir():
        return ["(none on this machine)"]
    return sorted(path.name for path in (root / SCENARIOS).iterdir() if path.is_dir())


def _files_of(folder: Path) -> dict[str, bytes]:
    return {
        f"{CWD}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.reference
@pytest.mark.parametrize("name", _scenario_names())
def test_a_recorded_scenario_ends_with_the_same_files_text_and_exit_code(name: str) -> None:
    folder = reference_path(SCENARIOS) / name
    recorded = msgspec.json.decode((folder.parent / "results.json").read_bytes(), type=dict[str, Recorded])[name]
    files = MemoryFiles(_files_of(folder / "input"), folders=(CWD,))

    result = run_command(["apply_patch"], (folder / "patch.txt").read_bytes(), CWD, files)

    assert result == CommandResult(
        exit_code=recorded.rc,
        stdout=recorded.stdout.replace("$CWD", CWD),
        stderr=recorded.stderr.replace("$CWD", CWD),
    )
    assert files.files == _files_of(folder / "expected")
