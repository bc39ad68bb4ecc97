"""How a model is told that the policy refused its call."""

from __future__ import annotations

from actors.session.approvals import refusal
from messages.approval import CommandNeed, PatchNeed


def test_a_refused_command_reads_as_one_that_could_not_start() -> None:
    need = CommandNeed(argv=("make",), cwd="/", script="make")
    assert refusal(need, "`make` rejected: no") == (
        'exec_command failed: CreateProcess { message: "Rejected(\\"`make` rejected: no\\")" }'
    )


def test_a_refused_patch_is_told_the_reason_alone() -> None:
    need = PatchNeed(paths=("/a",), outside=("/a",), sandbox_mode="read-only")
    assert refusal(need, "patch rejected: no") == "patch rejected: no"
