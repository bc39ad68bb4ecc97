"""The approval table: policy x situation -> run, ask or refuse. Pure, and all of it is data.

A need puts a call into one or more *situations*; each has a cell per policy; the strictest cell wins. What people
accepted for the session turns Ask into Run, never Refuse into anything: a refusal is the policy's word, not a question.

What comes later is rows and columns: rules of the user are situations, `untrusted` and the granular policies are
policies, a sandbox adds the situation "outside it". There is no OS sandbox yet, hence `on-request` asks for every
command that is not known to be safe, and says why. Source: CORE §2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, assert_never

import msgspec

from actors.tool_worker.command_display import display_command
from actors.tool_worker.command_safety import assess
from actors.tool_worker.confinement.ground import PROTECTED_NAMES
from actors.tool_worker.shell_parse import shell_script
from messages.approval import ApprovalDecision, ApprovalNeed, CommandGrant, CommandNeed, Grant, PatchGrant, PatchNeed
from messages.session import ApprovalPolicy

Situation = Literal[
    "known_safe_command",
    "other_command",
    "forced_removal",
    "escalated_command",
    "patch_inside_workspace",
    "patch_outside_workspace",
]
Verdict = Literal["run", "ask", "refuse"]

STRICTNESS: tuple[Verdict, ...] = ("run", "ask", "refuse")

TABLE: dict[Situation, dict[ApprovalPolicy, Verdict]] = {
    "known_safe_command": {"never": "run", "on-request": "run"},
    "other_command": {"never": "run", "on-request": "ask"},
    "forced_removal": {"never": "refuse", "on-request": "ask"},
    "escalated_command": {"never": "refuse", "on-request": "ask"},
    "patch_inside_workspace": {"never": "run", "on-request": "run"},
    "patch_outside_workspace": {"never": "run", "on-request": "ask"},
}

REASONS: dict[Situation, str] = {
    "other_command": "There is no sandbox: the command can read and change anything you can.",
    "forced_removal": "The command deletes files without asking back.",
    "escalated_command": "The model asks to run the command with more rights.",
    "patch_outside_workspace": "The patch changes files outside the workspace.",
}
"""Why people are asked, where the model gave no justification of its own."""

REFUSALS: dict[Situation, str] = {
    "forced_removal": "`{command}` rejected: rm -f style commands are not permitted. Use a safer approach",
    "escalated_command": (
        "approval policy is Never; reject command — you cannot ask for escalated permissions if the approval policy is "
        "Never"
    ),
}
"""What the model is told."""

DECISIONS: tuple[ApprovalDecision, ...] = ("accept", "acceptForSession", "decline", "cancel")

REJECTED_BY_USER = "rejected by user"
PATCH_REJECTED_BY_USER = "patch rejected by user"


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nobody needs to be asked."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """People decide."""

    reason: str
    available_decisions: tuple[ApprovalDecision, ...]


class Refuse(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The policy forbids it; ``text`` is for the model."""

    text: str


Decision = Run | Ask | Refuse


def decide(policy: ApprovalPolicy, need: ApprovalNeed | None, grants: Collection[Grant] = ()) -> Decision:
    """What to do about a call. ``grants``: what was accepted for the session. No need at all is Run."""
    if need is None:
        return Run()
    situation = max(situations(need), key=lambda each: STRICTNESS.index(TABLE[each][policy]))
    match TABLE[situation][policy]:
        case "run":
            return Run()
        case "ask":
            wanted = grants_for(need)
            if wanted and all(grant in grants for grant in wanted):
                return Run()
            return Ask(reason=_reason(situation, need), available_decisions=DECISIONS)
        case "refuse":
            command = display_command(need.argv) if isinstance(need, CommandNeed) else ""
            return Refuse(text=REFUSALS[situation].format(command=command))
        case verdict:
            assert_never(verdict)


def situations(need: ApprovalNeed) -> tuple[Situation, ...]:
    """Every situation a call is in; of equally strict ones the first is the reason given."""
    match need:
        case CommandNeed():
            found: list[Situation] = []
            if need.risk == "forced_removal":
                found.append("forced_removal")
            if need.escalated:
                found.append("escalated_command")
            found.append("known_safe_command" if need.risk == "known_safe" else "other_command")
            return tuple(found)
        case PatchNeed():
            return ("patch_outside_workspace",) if need.outside else ("patch_inside_workspace",)
        case _:
            assert_never(need)


def grants_for(need: ApprovalNeed) -> tuple[Grant, ...]:
    """What accepting this need for the session grants, and what spares the question next time."""
    match need:
        case CommandNeed():
            return (CommandGrant(argv=need.argv, cwd=need.cwd, escalated=need.escalated),)
        case PatchNeed():
            return tuple(PatchGrant(path=path) for path in need.outside)
        case _:
            assert_never(need)


def command_need(
    argv: Sequence[str], cwd: str, *, justification: str | None = None, escalated: bool = False
) -> CommandNeed:
    """A command's need, its risk assessed."""
    argv = tuple(argv)
    return CommandNeed(
        argv=argv,
        script=shell_script(argv),
        cwd=cwd,
        justification=justification,
        escalated=escalated,
        risk=assess(argv),
    )


def patch_need(paths: Sequence[tuple[str, str]], roots: Sequence[str]) -> PatchNeed:
    """A patch's need. ``paths``: each as named and as resolved through symlinks; ``roots``: the workspace, resolved.

    Only the resolved path counts, in a grant too: a link in the workspace that leads out of it is outside, and bending
    it elsewhere after it was accepted is asked about again.
    """
    return PatchNeed(
        paths=tuple(named for named, _ in paths),
        outside=tuple(resolved for _, resolved in paths if not any(_is_inside(resolved, root) for root in roots)),
    )


def _is_inside(path: str, root: str) -> bool:
    prefix = root.rstrip("/") + "/"
    return path.startswith(prefix) and path.removeprefix(prefix).partition("/")[0] not in PROTECTED_NAMES


def _reason(situation: Situation, need: ApprovalNeed) -> str:
    justification = need.justification if isinstance(need, CommandNeed) else None
    return justification or REASONS[situation]


def rejected_command_output(reason: str) -> str:
    """What the model is told about a command that was not run, in the words exec_command uses for any failed start."""
    rejected = f"Rejected({_debug(reason)})"
    return f"exec_command failed: CreateProcess {{ message: {_debug(rejected)} }}"


def _debug(text: str) -> str:
    """A string as Rust's `{:?}` shows it, which is the format models know these messages in."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
