"""The approval table, cell by cell."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from actors.tool_worker.approval import (
    DECISIONS,
    REASONS,
    REFUSALS,
    TABLE,
    Ask,
    Decision,
    Refuse,
    Run,
    Situation,
    command_need,
    decide,
    grants_for,
    patch_need,
    rejected_command_output,
)
from messages.approval import ApprovalNeed, CommandGrant, Grant, PatchGrant, PatchNeed
from messages.session import ApprovalPolicy

SAFE = command_need(("/bin/bash", "-lc", "ls"), "/p")
OTHER = command_need(("/bin/bash", "-lc", "make test"), "/p")
JUSTIFIED = command_need(("/bin/bash", "-lc", "make test"), "/p", justification="to see it fail")
REMOVAL = command_need(("/bin/bash", "-lc", "rm -rf build"), "/p", justification="clean up")
ESCALATED = command_need(("/bin/bash", "-lc", "ls"), "/p", justification="needs root", escalated=True)
ESCALATED_REMOVAL = command_need(("rm", "-f", "x"), "/p", escalated=True)
INSIDE = PatchNeed(paths=("/p/a",))
OUTSIDE = PatchNeed(paths=("/p/a", "/etc/x"), outside=("/etc/x",))

NO_ESCALATION = Refuse(
    text="approval policy is Never; reject command \u2014 you cannot ask for escalated permissions "
    "if the approval policy is Never"
)


def removal_refused(command: str) -> Refuse:
    return Refuse(text=f"`{command}` rejected: rm -f style commands are not permitted. Use a safer approach")


def ask(reason: str) -> Ask:
    return Ask(reason=reason, available_decisions=("accept", "acceptForSession", "decline", "cancel"))


@pytest.mark.parametrize(
    ("need", "never", "on_request"),
    [
        (None, Run(), Run()),
        (SAFE, Run(), Run()),
        (OTHER, Run(), ask(REASONS["other_command"])),
        (JUSTIFIED, Run(), ask("to see it fail")),
        (REMOVAL, removal_refused("/bin/bash -lc 'rm -rf build'"), ask("clean up")),
        (ESCALATED, NO_ESCALATION, ask("needs root")),
        (ESCALATED_REMOVAL, removal_refused("rm -f x"), ask(REASONS["forced_removal"])),
        (INSIDE, Run(), Run()),
        (OUTSIDE, Run(), ask(REASONS["patch_outside_workspace"])),
    ],
)
def test_each_need_gets_its_cell(need: ApprovalNeed | None, never: Decision, on_request: Decision) -> None:
    assert decide("never", need) == never
    assert decide("on-request", need) == on_request


@pytest.mark.parametrize("policy", get_args(ApprovalPolicy))
@pytest.mark.parametrize("situation", get_args(Situation))
def test_the_table_is_whole_and_every_cell_has_its_words(situation: Situation, policy: ApprovalPolicy) -> None:
    verdict = TABLE[situation][policy]
    assert verdict != "ask" or situation in REASONS
    assert verdict != "refuse" or situation in REFUSALS
    assert len(DECISIONS) == 4


@pytest.mark.parametrize("need", [OTHER, REMOVAL, ESCALATED, OUTSIDE])
def test_what_was_accepted_for_the_session_is_not_asked_again(need: ApprovalNeed) -> None:
    assert decide("on-request", need, frozenset(grants_for(need))) == Run()


@pytest.mark.parametrize(
    "grant",
    [
        CommandGrant(argv=OTHER.argv, cwd="/elsewhere"),
        CommandGrant(argv=("/bin/bash", "-c", "make test"), cwd="/p"),
        CommandGrant(argv=OTHER.argv, cwd="/p", escalated=True),
        PatchGrant(path="/p"),
    ],
)
def test_a_grant_is_for_exactly_the_same_thing(grant: Grant) -> None:
    assert isinstance(decide("on-request", OTHER, {grant}), Ask)


def test_a_patch_is_asked_about_while_any_file_outside_is_new() -> None:
    granted = grants_for(OUTSIDE)
    more = PatchNeed(paths=("/etc/x", "/etc/y"), outside=("/etc/x", "/etc/y"))
    assert isinstance(decide("on-request", more, granted), Ask)
    assert decide("on-request", more, (*granted, PatchGrant(path="/etc/y"))) == Run()


def test_no_grant_turns_a_refusal_into_anything() -> None:
    assert isinstance(decide("never", REMOVAL, grants_for(REMOVAL)), Refuse)


def test_outside_is_judged_by_where_a_path_leads() -> None:
    paths = (
        ("/p/a", "/p/a"),
        ("/p/link", "/etc/passwd"),
        ("/prefix/x", "/prefix/x"),
        ("/p/.git/hooks/pre-commit", "/p/.git/hooks/pre-commit"),
        ("/p/sub/.gitignore", "/p/sub/.gitignore"),
        ("/extra/y", "/extra/y"),
    )
    assert patch_need(paths, ("/p", "/extra/")) == PatchNeed(
        paths=tuple(named for named, _ in paths),
        outside=("/etc/passwd", "/prefix/x", "/p/.git/hooks/pre-commit"),
    )
    assert patch_need((("/etc/x", "/etc/x"),), ("/",)).outside == ()


def test_a_refused_command_reads_like_any_that_failed_to_start() -> None:
    assert rejected_command_output("rejected by user") == (
        'exec_command failed: CreateProcess { message: "Rejected(\\"rejected by user\\")" }'
    )


def test_needs_and_grants_survive_the_log() -> None:
    needs: list[ApprovalNeed] = [SAFE, REMOVAL, OUTSIDE]
    assert msgspec.json.decode(msgspec.json.encode(needs), type=list[ApprovalNeed]) == needs
    grants = [*grants_for(REMOVAL), *grants_for(OUTSIDE)]
    assert msgspec.json.decode(msgspec.json.encode(grants), type=list[Grant]) == grants
