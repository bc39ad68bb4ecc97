"""What a tool call would need people's word for, what they may answer, and which policy says when they are asked.

A need states facts and leaves the judgement to the approval table (`actors/tool_worker/approval.py`): it is written to
the log with the question, and what a session has been granted is read back from there.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.permissions import Permissions

ApprovalDecision = Literal["accept", "acceptForSession", "acceptWithExecpolicyAmendment", "decline", "cancel"]
"""acceptWithExecpolicyAmendment: yes, and a rule that allows the like from now on, in every thread.
decline: the call is refused and the turn goes on. cancel: the turn ends as well."""

CommandRisk = Literal["known_safe", "unknown", "forced_removal"]
"""What reading the command can tell (`actors/tool_worker/command_safety.py`). Most commands are unknown."""

Confinement = Literal["none", "partial", "full"]
"""How much of what the sandbox mode promises is enforced around a command here. Only `full` spares a question."""

ModeInForce = Literal["read-only", "workspace-write", "danger-full-access"]

RuleDecision = Literal["allow", "prompt", "forbidden"]


class GranularSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """Which kinds of questions may be asked; one that may not is a refusal. Names as on the wire."""

    sandbox_approval: bool
    """Commands that want out of the sandbox, or delete by force; patches outside the workspace."""
    rules: bool
    """Commands for which a rule says `prompt`."""
    mcp_elicitations: bool
    request_permissions: bool = False
    """Requests of the model's for more rights."""
    skill_approval: bool = False


class GranularPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """As `on-request`, kind by kind: ``{"granular": {...}}`` in settings and on the wire."""

    granular: GranularSwitches


ApprovalPolicy = Literal["never", "on-request", "untrusted"] | GranularPolicy
PolicyName = Literal["never", "on-request", "granular", "untrusted"]


def policy_name(policy: ApprovalPolicy) -> PolicyName:
    """A policy in one word: its column in the table."""
    return "granular" if isinstance(policy, GranularPolicy) else policy


class RuleFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a command: the strictest word on any part of it, and `allow` only if it is on all parts."""

    decision: RuleDecision
    prefix: tuple[str, ...]
    """The words that the deciding rule matched."""
    justification: str | None = None
    """The rule's own reason."""


class CommandNeed(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """A command to be run."""

    argv: tuple[str, ...]
    script: str | None
    """The script inside ``argv``, when it is a shell's."""
    cwd: str
    justification: str | None = None
    """Why the model wants to, in its words."""
    escalated: bool = False
    """The model asks to run it outside the sandbox."""
    risk: CommandRisk = "unknown"
    """Of those parts that no rule allows."""
    rule: RuleFinding | None = None
    rules_error: str | None = None
    """Why the rules cannot be read, with file and line: nobody can say then what they would forbid."""
    amendment: tuple[str, ...] | None = None
    """The words that a new rule could allow, so that the like is not asked about again."""
    confinement: Confinement = "none"
    """What it would run under."""
    denied: str | None = None
    """It has run in its sandbox and failed, and these words say what it was probably denied: what is asked is whether
    it runs again without. None: it has not run."""


class PatchNeed(msgspec.Struct, frozen=True, kw_only=True, tag="patch"):
    """Files to be changed. Paths are absolute."""

    paths: tuple[str, ...]
    outside: tuple[str, ...] = ()
    """Those beyond the workspace, symlinks resolved: what would really be written."""
    sandbox_mode: ModeInForce = "danger-full-access"
    """In force: under `read-only` every path is outside that was not granted."""


class PermissionNeed(msgspec.Struct, frozen=True, kw_only=True, tag="permissions"):
    """More rights, for the commands and patches that come after."""

    cwd: str
    permissions: Permissions
    reason: str | None = None
    """The model's."""


ApprovalNeed = CommandNeed | PatchNeed | PermissionNeed
"""What the approval table judges."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers a question offers."""

    label: str
    description: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question of the model's. People may always answer in words of their own."""

    id: str
    header: str
    """A word or two: what it is about."""
    question: str
    options: tuple[Option, ...]


class QuestionNeed(msgspec.Struct, frozen=True, kw_only=True, tag="question"):
    """The model asks people; their answers are what the call comes to. No policy answers for them."""

    questions: tuple[Question, ...]


Need = ApprovalNeed | QuestionNeed
"""What a call waits for people with."""

Answers = dict[str, tuple[str, ...]]
"""What people answered, by question: labels of options, or their own words."""


class CommandGrant(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """Accepted for the session: exactly this command in this folder, with these permissions."""

    argv: tuple[str, ...]
    cwd: str
    escalated: bool = False


class PatchGrant(msgspec.Struct, frozen=True, kw_only=True, tag="patch"):
    """Accepted for the session: changes to this file outside the workspace, its path resolved."""

    path: str


Grant = CommandGrant | PatchGrant
