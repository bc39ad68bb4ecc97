"""The approval table, row by row."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from actors.tool_worker.approval import (
    DECISIONS,
    DECISIONS_WITH_AMENDMENT,
    MEANINGS,
    PARTLY_CONFINED,
    REASONS,
    REFUSALS,
    TABLE,
    Ask,
    Decision,
    Refuse,
    Run,
    Situation,
    decide,
    grants_for,
    rejected_command_output,
    verdict,
)
from messages.approval import (
    ApprovalNeed,
    ApprovalPolicy,
    CommandGrant,
    CommandNeed,
    Grant,
    GranularPolicy,
    GranularSwitches,
    PatchGrant,
    PatchNeed,
    PermissionNeed,
    PolicyName,
    RuleFinding,
)
from messages.permissions import Permissions

ASKED = PermissionNeed(cwd="/p", permissions=Permissions(write=("/data",)))


def granular(**switches: bool) -> GranularPolicy:
    every = {"sandbox_approval": False, "rules": False, "mcp_elicitations": False}
    return GranularPolicy(granular=GranularSwitches(**{**every, **switches}))


def command(script: str = "make test", **facts: Any) -> CommandNeed:
    return CommandNeed(argv=("/bin/bash", "-lc", script), script=script, cwd="/p", **facts)


def ruled(decision: Any, **facts: Any) -> CommandNeed:
    return command(rule=RuleFinding(decision=decision, prefix=("make", "test")), **facts)


OTHER = command()
REMOVAL = command("rm -rf build", risk="forced_removal")
ESCALATED = command(escalated=True)
INSIDE = PatchNeed(paths=("/p/a",))
OUTSIDE = PatchNeed(paths=("/p/a", "/etc/x"), outside=("/etc/x",))

POLICIES: tuple[ApprovalPolicy, ...] = (
    "never",
    "on-request",
    granular(),
    granular(rules=True),
    granular(sandbox_approval=True),
    "untrusted",
    granular(request_permissions=True),
)
ROWS: list[tuple[str, ApprovalNeed | None, str]] = [
    # never, on-request, granular with nothing / with rules / with sandbox_approval, untrusted; and granular with
    # request_permissions where that makes a difference
    ("more rights", ASKED, "no ask no no no ask ask"),
    ("no need at all", None, "run run run run run run"),
    ("a rule forbids", ruled("forbidden"), "no no no no no no"),
    ("a rule prompts", ruled("prompt"), "no ask no ask no ask"),
    ("rules allow", ruled("allow"), "free free free free free free"),
    ("rules allow what is escalated", ruled("allow", escalated=True), "free free free free free free"),
    ("unreadable rules", command(rules_error="a:1: x"), "no ask no ask no ask"),
    ("unreadable rules, safe command", command("ls", risk="known_safe", rules_error="a:1: x"), "no ask no ask no ask"),
    ("unreadable rules, allowed command", ruled("allow", rules_error="a:1: x"), "no ask no ask no ask"),
    ("forced removal", REMOVAL, "no ask no no ask ask"),
    ("forced removal, confined", command(risk="forced_removal", confinement="full"), "no ask no no ask ask"),
    ("escalated", ESCALATED, "no ask no no ask ask"),
    ("escalated and safe", command(escalated=True, risk="known_safe"), "no ask no no ask ask"),
    ("known safe", command("ls", risk="known_safe"), "run run run run run ask"),
    ("confined", command(confinement="full"), "run run run run run ask"),
    ("partly confined", command(confinement="partial"), "run ask run run ask ask"),
    ("unconfined", OTHER, "run ask run run ask ask"),
    ("denied by its sandbox", command(confinement="full", denied="EPERM"), "no no no no ask ask"),
    ("denied, and asked about before", ruled("prompt", denied="EPERM"), "no no no no ask ask"),
    ("a patch inside", INSIDE, "run run run run run ask"),
    ("a patch outside, full access", OUTSIDE, "run ask run run ask ask"),
    (
        "a patch outside, workspace-write",
        PatchNeed(paths=("/etc/x",), outside=("/etc/x",), sandbox_mode="workspace-write"),
        "no ask no no ask ask",
    ),
    (
        "a patch inside, workspace-write",
        PatchNeed(paths=("/p/a",), sandbox_mode="workspace-write"),
        "run run run run run ask",
    ),
    (
        "a patch, read-only",
        PatchNeed(paths=("/p/a",), outside=("/p/a",), sandbox_mode="read-only"),
        "no ask no no ask ask",
    ),
]


def word(decision: Decision) -> str:
    match decision:
        case Run():
            return "free" if decision.unconfined else "run"
        case Ask():
            return "ask"
        case Refuse():
            return "no"


@pytest.mark.parametrize(("need", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_need_gets_its_row(need: ApprovalNeed | None, expected: str) -> None:
    words = expected.split()
    assert [word(decide(policy, need)) for policy in POLICIES[: len(words)]] == words
    if len(words) < len(POLICIES):
        assert word(decide(POLICIES[-1], need)) == words[POLICIES.index(granular())]


@pytest.mark.parametrize("name", get_args(PolicyName))
@pytest.mark.parametrize("situation", get_args(Situation))
def test_the_table_is_whole_and_every_cell_has_its_words(situation: Situation, name: PolicyName) -> None:
    on, off = granular(sandbox_approval=True, rules=True, request_permissions=True), granular()
    policies: tuple[ApprovalPolicy, ...] = (on, off) if name == "granular" else (name,)
    for policy in policies:
        found = verdict(policy, situation)
        assert found != "ask" or situation in REASONS
        assert found != "refuse" or situation in REFUSALS
    assert situation in MEANINGS
    assert set(TABLE) == set(get_args(Situation))


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (OTHER, REASONS["unconfined_command"]),
        (command(justification="to see it fail"), "to see it fail"),
        (command(confinement="partial"), PARTLY_CONFINED),
        (REMOVAL, REASONS["forced_removal"]),
        (command(escalated=True, justification="needs root"), "needs root"),
        (
            ruled("prompt", justification="trust me"),
            "A rule asks for your word on commands that start with `make test`.",
        ),
        (
            command(rule=RuleFinding(decision="prompt", prefix=("make",), justification="it deploys")),
            "it deploys",
        ),
        (
            command(rules_error="/r:3: what", justification="trust me"),
            "Your rules cannot be read: /r:3: what",
        ),
        (OUTSIDE, REASONS["patch_outside_workspace"]),
        (ASKED, REASONS["permission_request"]),
        (PermissionNeed(cwd="/p", permissions=ASKED.permissions, reason="to keep results"), "to keep results"),
    ],
)
def test_people_are_told_why_they_are_asked(need: ApprovalNeed, reason: str) -> None:
    assert decide("on-request", need) == Ask(reason=reason, available_decisions=DECISIONS)


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (
            REMOVAL,
            "`/bin/bash -lc 'rm -rf build'` rejected: rm -f style commands are not permitted. Use a safer approach",
        ),
        (
            ESCALATED,
            (
                "approval policy is Never; reject command \u2014 you cannot ask for escalated permissions if the "
                "approval policy is Never"
            ),
        ),
        (
            ruled("forbidden"),
            "`/bin/bash -lc 'make test'` rejected: a rule forbids commands that start with `make test`",
        ),
        (
            command(rule=RuleFinding(decision="forbidden", prefix=("make",), justification="use {ninja}")),
            "`/bin/bash -lc 'make test'` rejected: use {ninja}",
        ),
        (
            PatchNeed(paths=("/x",), outside=("/x",), sandbox_mode="workspace-write"),
            "patch rejected: writing outside of the project; rejected by user approval settings",
        ),
        (
            PatchNeed(paths=("/x",), outside=("/x",), sandbox_mode="read-only"),
            "patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
        ),
        (ASKED, "request_permissions rejected: the approval policy is never, nobody may be asked for more"),
    ],
)
def test_the_model_is_told_why_it_is_refused(need: ApprovalNeed, text: str) -> None:
    assert decide("never", need) == Refuse(text=text)


def test_people_are_told_what_the_sandbox_said() -> None:
    need = command(confinement="full", denied="Permission denied", justification="trust me", amendment=("make", "test"))
    assert decide("untrusted", need) == Ask(
        reason="command failed; retry without sandbox? (the sandbox said: Permission denied)",
        available_decisions=DECISIONS_WITH_AMENDMENT,
        amendment=("make", "test"),
    )


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("never", "not run again without the sandbox: the approval policy is never"),
        (granular(), "not run again without the sandbox: the approval policy is granular"),
        (
            "on-request",
            (
                "not run again without the sandbox: the approval policy is on-request, but you may ask for it with "
                'sandbox_permissions "require_escalated" and a justification'
            ),
        ),
    ],
)
def test_the_model_is_told_why_what_was_denied_stands(policy: ApprovalPolicy, text: str) -> None:
    assert decide(policy, command(confinement="full", denied="EPERM")) == Refuse(text=text)


def test_a_yes_to_a_second_run_is_one_to_exactly_that_command_outside_the_sandbox() -> None:
    need = command(confinement="full", denied="EPERM")
    assert grants_for(need) == (CommandGrant(argv=need.argv, cwd="/p", escalated=True),)


def test_a_rule_is_offered_where_there_is_one_to_offer() -> None:
    assert decide("on-request", command(amendment=("make", "test"))) == Ask(
        reason=REASONS["unconfined_command"],
        available_decisions=DECISIONS_WITH_AMENDMENT,
        amendment=("make", "test"),
    )


@pytest.mark.parametrize(
    ("need", "unconfined"),
    [
        (OTHER, True),
        (command(confinement="partial"), False),
        (command(risk="forced_removal", confinement="full"), False),
        (command(escalated=True, confinement="full"), True),
        (command(confinement="full", denied="EPERM"), True),
        (OUTSIDE, False),
    ],
)
def test_what_was_accepted_for_the_session_is_not_asked_again(need: ApprovalNeed, unconfined: bool) -> None:
    policy: ApprovalPolicy = "untrusted" if isinstance(need, CommandNeed) and need.denied else "on-request"
    assert decide(policy, need, frozenset(grants_for(need))) == Run(unconfined=unconfined)


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


def test_a_refused_command_reads_like_any_that_failed_to_start() -> None:
    assert rejected_command_output("rejected by user") == (
        'exec_command failed: CreateProcess { message: "Rejected(\\"rejected by user\\")" }'
    )


def test_needs_and_grants_survive_the_log() -> None:
    needs: list[ApprovalNeed] = [OTHER, ruled("prompt"), REMOVAL, OUTSIDE, ASKED, command(denied="EPERM")]
    assert msgspec.json.decode(msgspec.json.encode(needs), type=list[ApprovalNeed]) == needs
    grants = [*grants_for(REMOVAL), *grants_for(OUTSIDE)]
    assert msgspec.json.decode(msgspec.json.encode(grants), type=list[Grant]) == grants
