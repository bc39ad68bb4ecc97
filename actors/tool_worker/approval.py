"""The approval table: policy x situation -> run, ask or refuse. Pure, and all of it is data.

A need puts a call into one or more *situations*; each has a cell per policy; the strictest cell wins. What people
accepted for the session turns Ask into Run, never Refuse into anything: a refusal is the policy's word, not a question.
`docs/approvals.md` shows the table, and a test holds the two together.

Source: CORE §2.3. Stricter here than there, on purpose: a command that nothing confines is asked about unless it is
known to be safe (there, only the sandbox decides); a sandbox that holds only partly counts as none; rules that cannot
be read make every command a question (there, they are dropped, and with them what they forbade).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, assert_never

import msgspec

from actors.tool_worker.command_display import display_command
from messages.approval import (
    ApprovalDecision,
    ApprovalNeed,
    ApprovalPolicy,
    CommandGrant,
    CommandNeed,
    Grant,
    GranularPolicy,
    Need,
    PatchGrant,
    PatchNeed,
    PermissionNeed,
    PolicyName,
    policy_name,
)

Situation = Literal[
    "rule_forbids",
    "rule_prompts",
    "rules_unreadable",
    "rule_allows",
    "forced_removal",
    "escalated_command",
    "known_safe_command",
    "confined_command",
    "unconfined_command",
    "denied_command",
    "patch_inside_workspace",
    "patch_outside_workspace",
    "patch_outside_sandbox",
    "patch_in_read_only",
    "permission_request",
]

Cell = Literal[
    "run",
    "run unconfined",
    "ask",
    "refuse",
    "ask if rules",
    "ask if sandbox_approval",
    "ask if sandbox_approval, else run",
    "ask if request_permissions",
]
"""`ask if S`: a granular policy whose switch S is off refuses instead, or runs where the cell says so."""

Verdict = Literal["run unconfined", "run", "ask", "refuse"]

STRICTNESS: tuple[Verdict, ...] = ("run unconfined", "run", "ask", "refuse")

TABLE: dict[Situation, dict[PolicyName, Cell]] = {
    "rule_forbids": {
        "never": "refuse",
        "on-request": "refuse",
        "granular": "refuse",
        "untrusted": "refuse",
    },
    "rule_prompts": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if rules",
        "untrusted": "ask",
    },
    "rules_unreadable": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if rules",
        "untrusted": "ask",
    },
    "rule_allows": {
        "never": "run unconfined",
        "on-request": "run unconfined",
        "granular": "run unconfined",
        "untrusted": "run unconfined",
    },
    "forced_removal": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if sandbox_approval",
        "untrusted": "ask",
    },
    "escalated_command": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if sandbox_approval",
        "untrusted": "ask",
    },
    "known_safe_command": {
        "never": "run",
        "on-request": "run",
        "granular": "run",
        "untrusted": "ask",
    },
    "confined_command": {
        "never": "run",
        "on-request": "run",
        "granular": "run",
        "untrusted": "ask",
    },
    "unconfined_command": {
        "never": "run",
        "on-request": "ask",
        "granular": "ask if sandbox_approval, else run",
        "untrusted": "ask",
    },
    "denied_command": {
        "never": "refuse",
        "on-request": "refuse",
        "granular": "ask if sandbox_approval",
        "untrusted": "ask",
    },
    "patch_inside_workspace": {
        "never": "run",
        "on-request": "run",
        "granular": "run",
        "untrusted": "ask",
    },
    "patch_outside_workspace": {
        "never": "run",
        "on-request": "ask",
        "granular": "ask if sandbox_approval, else run",
        "untrusted": "ask",
    },
    "patch_outside_sandbox": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if sandbox_approval",
        "untrusted": "ask",
    },
    "patch_in_read_only": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if sandbox_approval",
        "untrusted": "ask",
    },
    "permission_request": {
        "never": "refuse",
        "on-request": "ask",
        "granular": "ask if request_permissions",
        "untrusted": "ask",
    },
}

MEANINGS: dict[Situation, str] = {
    "rule_forbids": "a rule says `forbidden` of a part of the command",
    "rule_prompts": "a rule says `prompt` of a part of the command",
    "rules_unreadable": "a rules file cannot be read, so nobody knows what it says",
    "rule_allows": "rules say `allow` of every part of the command",
    "forced_removal": "`rm -f` is spelled out in a part that no rule allows",
    "escalated_command": "the model asks for `require_escalated`",
    "known_safe_command": "every part is allowed by a rule or on the list of harmless programs",
    "confined_command": "any other command that the sandbox mode fully confines",
    "unconfined_command": "any other command, where nothing confines it or not all of it is enforced",
    "denied_command": "a second run without the sandbox, of a command that failed in it, probably denied something",
    "patch_inside_workspace": "a patch to files of the workspace",
    "patch_outside_workspace": "a patch to files beyond it, under `danger-full-access`",
    "patch_outside_sandbox": "a patch to files beyond it, under `workspace-write`",
    "patch_in_read_only": "any patch under `read-only`",
    "permission_request": "the model asks for more rights for what follows (`request_permissions`)",
}
"""When a call is in a situation, for the document."""

REASONS: dict[Situation, str] = {
    "rule_prompts": "A rule asks for your word on commands that start with `{prefix}`.",
    "rules_unreadable": "Your rules cannot be read: {rules_error}",
    "forced_removal": "The command deletes files without asking back.",
    "escalated_command": "The model asks to run the command with more rights.",
    "known_safe_command": "The approval policy is untrusted: you are asked about every command.",
    "confined_command": "The approval policy is untrusted: you are asked about every command.",
    "unconfined_command": "There is no sandbox: the command can read and change anything you can.",
    "denied_command": "command failed; retry without sandbox? (the sandbox said: {denied})",
    "patch_inside_workspace": "The approval policy is untrusted: you are asked about every change.",
    "patch_outside_workspace": "The patch changes files outside the workspace.",
    "patch_outside_sandbox": "The patch changes files outside the workspace.",
    "patch_in_read_only": "The sandbox mode is read-only, and the patch changes files.",
    "permission_request": "The model asks for more rights than the sandbox gives.",
}
"""Why people are asked, where neither the model nor a rule gave a reason of its own."""

PARTLY_CONFINED = "The sandbox can only be enforced in part here: the command may reach more than its mode allows."

REFUSALS: dict[Situation, str] = {
    "rule_forbids": "`{command}` rejected: {justification}",
    "rule_prompts": "`{command}` rejected: a rule asks for approval of `{prefix}`, which the approval policy rules out",
    "rules_unreadable": (
        "`{command}` rejected: the user's rules cannot be read ({rules_error}), and the policy rules out to ask"
    ),
    "forced_removal": "`{command}` rejected: rm -f style commands are not permitted. Use a safer approach",
    "escalated_command": (
        "approval policy is {Policy}; reject command — you cannot ask for escalated permissions if the approval policy "
        "is {Policy}"
    ),
    "denied_command": "not run again without the sandbox: the approval policy is {policy}{hint}",
    "patch_outside_sandbox": ("patch rejected: writing outside of the project; rejected by user approval settings"),
    "patch_in_read_only": (
        "patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings"
    ),
    "permission_request": "request_permissions rejected: the approval policy is {policy}, nobody may be asked for more",
}
"""What the model is told."""

MAY_ASK = ', but you may ask for it with sandbox_permissions "require_escalated" and a justification'
"""To a model whose command was denied something, where people may be asked for more rights."""

FORBIDDEN_PREFIX = "a rule forbids commands that start with `{prefix}`"
"""The justification of a rule that has none."""

DECISIONS: tuple[ApprovalDecision, ...] = ("accept", "acceptForSession", "decline", "cancel")
DECISIONS_WITH_AMENDMENT: tuple[ApprovalDecision, ...] = (
    "accept",
    "acceptForSession",
    "acceptWithExecpolicyAmendment",
    "decline",
    "cancel",
)

REJECTED_BY_USER = "rejected by user"
PATCH_REJECTED_BY_USER = "patch rejected by user"
PERMISSIONS_REJECTED_BY_USER = "permissions rejected by user: nothing was granted"


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nobody needs to be asked. ``unconfined``: outside the sandbox, for a rule or a person has said so."""

    unconfined: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """People decide."""

    reason: str
    available_decisions: tuple[ApprovalDecision, ...]
    amendment: tuple[str, ...] | None = None
    """What `acceptWithExecpolicyAmendment` would allow from now on."""


class Refuse(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The policy forbids it; ``text`` is for the model."""

    text: str


Decision = Run | Ask | Refuse


def decide(policy: ApprovalPolicy, need: ApprovalNeed | None, grants: Collection[Grant] = ()) -> Decision:
    """What to do about a call. ``grants``: what was accepted for the session. No need at all is Run."""
    if need is None:
        return Run()
    situation = max(situations(need), key=lambda each: STRICTNESS.index(verdict(policy, each)))
    match verdict(policy, situation):
        case "run unconfined":
            return Run(unconfined=True)
        case "run":
            return Run()
        case "ask":
            wanted = grants_for(need)
            if wanted and all(grant in grants for grant in wanted):
                return Run(unconfined=leaves_sandbox(need))
            amendment = need.amendment if isinstance(need, CommandNeed) else None
            return Ask(
                reason=_reason(situation, need),
                available_decisions=DECISIONS if amendment is None else DECISIONS_WITH_AMENDMENT,
                amendment=amendment,
            )
        case "refuse":
            return Refuse(text=_worded(REFUSALS[situation], need, policy))
        case never:
            assert_never(never)


def verdict(policy: ApprovalPolicy, situation: Situation) -> Verdict:
    """A cell, its switch of a granular policy looked up."""
    cell = TABLE[situation][policy_name(policy)]
    match cell:
        case "run" | "run unconfined" | "ask" | "refuse":
            return cell
        case (
            "ask if rules"
            | "ask if sandbox_approval"
            | "ask if sandbox_approval, else run"
            | "ask if request_permissions"
        ):
            assert isinstance(policy, GranularPolicy), f"only a granular policy has switches: {situation}"
            switch = cell.removeprefix("ask if ").partition(",")[0]
            on: bool = getattr(policy.granular, switch)
            return "ask" if on else "run" if cell.endswith("else run") else "refuse"
        case never:
            assert_never(never)


def situations(need: ApprovalNeed) -> tuple[Situation, ...]:
    """Every situation a call is in; of equally strict ones the first is the reason given."""
    match need:
        case CommandNeed(denied=str()):
            return ("denied_command",)
        case CommandNeed():
            return _command_situations(need)
        case PatchNeed():
            if not need.outside:
                return ("patch_inside_workspace",)
            match need.sandbox_mode:
                case "read-only":
                    return ("patch_in_read_only",)
                case "workspace-write":
                    return ("patch_outside_sandbox",)
                case "danger-full-access":
                    return ("patch_outside_workspace",)
                case never:
                    assert_never(never)
        case PermissionNeed():
            return ("permission_request",)
        case _:
            assert_never(need)


def _command_situations(need: CommandNeed) -> tuple[Situation, ...]:
    found: list[Situation] = []
    if need.rules_error is not None:
        found.append("rules_unreadable")
    match None if need.rule is None else need.rule.decision:
        case "forbidden":
            found.append("rule_forbids")
        case "prompt":
            found.append("rule_prompts")
        case "allow":
            return (*found, "rule_allows")
        case None:
            pass
        case never:
            assert_never(never)
    if need.risk == "forced_removal":
        found.append("forced_removal")
    if need.escalated:
        found.append("escalated_command")
    if need.risk == "known_safe":
        found.append("known_safe_command")
    else:
        found.append("confined_command" if need.confinement == "full" else "unconfined_command")
    return tuple(found)


def grants_for(need: ApprovalNeed) -> tuple[Grant, ...]:
    """What accepting this need for the session grants, and what spares the question next time."""
    match need:
        case CommandNeed():
            escalated = need.escalated or need.denied is not None
            return (CommandGrant(argv=need.argv, cwd=need.cwd, escalated=escalated),)
        case PatchNeed():
            return tuple(PatchGrant(path=path) for path in need.outside or need.paths)
        case PermissionNeed():
            return ()  # what is granted is in the settings, and then there is no need
        case _:
            assert_never(need)


def leaves_sandbox(need: Need) -> bool:
    """Whether a yes to this need is one to running outside the sandbox: that was asked for, or there is none."""
    if not isinstance(need, CommandNeed):
        return False
    return need.escalated or need.denied is not None or need.confinement == "none"


def _reason(situation: Situation, need: ApprovalNeed) -> str:
    if isinstance(need, CommandNeed):
        if situation == "rule_prompts" and need.rule is not None and need.rule.justification:
            return need.rule.justification
        if situation == "unconfined_command" and need.confinement == "partial" and not need.justification:
            return PARTLY_CONFINED
        if need.justification and situation not in ("rule_prompts", "rules_unreadable", "denied_command"):
            return need.justification
    if isinstance(need, PermissionNeed) and need.reason:
        return need.reason
    return _worded(REASONS[situation], need, "on-request")


def _worded(text: str, need: ApprovalNeed, policy: ApprovalPolicy) -> str:
    """A sentence of ours with what it is about filled in."""
    if isinstance(need, PermissionNeed):
        return text.format(policy=policy_name(policy))
    if not isinstance(need, CommandNeed):
        return text
    prefix = "" if need.rule is None else display_command(need.rule.prefix)
    justification = "" if need.rule is None else need.rule.justification or FORBIDDEN_PREFIX.format(prefix=prefix)
    return text.format(
        command=display_command(need.argv),
        prefix=prefix,
        justification=justification,
        rules_error=need.rules_error,
        denied=need.denied,
        policy=policy_name(policy),
        hint=MAY_ASK if verdict(policy, "escalated_command") == "ask" else "",
        Policy=policy_name(policy).capitalize(),
    )


def rejected_command_output(reason: str) -> str:
    """What the model is told about a command that was not run, in the words exec_command uses for any failed start."""
    rejected = f"Rejected({_debug(reason)})"
    return f"exec_command failed: CreateProcess {{ message: {_debug(rejected)} }}"


def _debug(text: str) -> str:
    """A string as Rust's `{:?}` shows it, which is the format models know these messages in."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
