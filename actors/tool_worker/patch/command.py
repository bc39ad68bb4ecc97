"""The stand-alone `apply_patch` command, as it stands on the PATH of the commands a model runs.

Pure but for the files it is given: the executable around it passes argv and stdin in and streams out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.tool_worker.patch.execute import PatchFiles, apply_hunks
from actors.tool_worker.patch.parse import PatchError, parse_patch
from actors.tool_worker.patch.report import summary

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

USAGE = "Usage: apply_patch 'PATCH'\n       apply_patch < PATCH\n"


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the command leaves behind besides the changed files."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


def run_command(argv: Sequence[str], stdin: bytes, cwd: str, files: PatchFiles) -> CommandResult:
    """Run with ``argv`` (its own name first). The patch is the only argument; without one it is read from ``stdin``."""
    if len(argv) > 2:
        return CommandResult(exit_code=EXIT_USAGE, stderr="apply_patch takes exactly one argument.\n" + USAGE)
    text = argv[1] if len(argv) == 2 else stdin
    if not text:
        return CommandResult(exit_code=EXIT_USAGE, stderr=USAGE)
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            return CommandResult(exit_code=EXIT_FAILED, stderr=f"Failed to read the patch from stdin: {error}\n")
    try:
        hunks = parse_patch(text)
    except PatchError as error:
        return CommandResult(exit_code=EXIT_FAILED, stderr=error.command_text + "\n")
    outcome = apply_hunks(hunks, cwd, files)
    if outcome.error is not None:
        return CommandResult(exit_code=EXIT_FAILED, stderr=outcome.error.command_text + "\n")
    return CommandResult(exit_code=EXIT_OK, stdout=summary(outcome))
