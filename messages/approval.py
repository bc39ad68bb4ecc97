"""What a tool call would need people's word for, and what they may answer.

A need states facts and leaves the judgement to the approval table (`actors/tool_worker/approval.py`): it is written to
the log with the question, and what a session has been granted is read back from there.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ApprovalDecision = Literal["accept", "acceptForSession", "decline", "cancel"]
"""decline: the call is refused and the turn goes on. cancel: the turn ends as well."""

CommandRisk = Literal["known_safe", "unknown", "forced_removal"]
"""What reading the command can tell (`actors/tool_worker/command_safety.py`). Most commands are unknown."""


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


class PatchNeed(msgspec.Struct, frozen=True, kw_only=True, tag="patch"):
    """Files to be changed. Paths are absolute."""

    paths: tuple[str, ...]
    outside: tuple[str, ...] = ()
    """Those beyond the workspace, symlinks resolved: what would really be written."""


ApprovalNeed = CommandNeed | PatchNeed
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
