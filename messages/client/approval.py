"""Questions to the user: requests that we send to every client that watches the thread. The first answer counts."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.client.item import CommandAction, Wire


class Amendment(Wire, frozen=True, kw_only=True, rename=None):
    """A rule to be kept: commands that begin with these words are allowed. snake_case on the wire."""

    execpolicy_amendment: tuple[str, ...]


class AmendmentDecision(Wire, frozen=True, kw_only=True):
    """A yes together with a rule for the future."""

    accept_with_execpolicy_amendment: Amendment


class ScriptLine(Wire, frozen=True, kw_only=True):
    """Ours: the line of a script that waits for the answer. ``source`` is that line, cut and made printable."""

    item_id: str
    """The script's item."""
    number: int
    """Of the call in the script, from 1."""
    line: int
    column: int
    source: str


class CommandApprovalParams(Wire, frozen=True, kw_only=True):
    """item/commandExecution/requestApproval"""

    thread_id: str
    turn_id: str
    item_id: str
    started_at_ms: int
    kind: str
    environment_id: str
    command: str
    cwd: str
    command_actions: tuple[CommandAction, ...]
    available_decisions: tuple[str | AmendmentDecision, ...]
    proposed_execpolicy_amendment: tuple[str, ...] | None = None
    reason: str | None = None
    script: ScriptLine | None = None


class FileChangeApprovalParams(Wire, frozen=True, kw_only=True):
    """item/fileChange/requestApproval; the changes are in the item."""

    thread_id: str
    turn_id: str
    item_id: str
    started_at_ms: int
    reason: str | None = None
    script: ScriptLine | None = None


class UserInputOption(Wire, frozen=True, kw_only=True):
    label: str
    description: str


class UserInputQuestion(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """``is_other``: the user may answer in their own words as well."""

    id: str
    header: str
    question: str
    options: tuple[UserInputOption, ...]
    is_other: bool = False
    is_secret: bool = False


class UserInputParams(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """item/tool/requestUserInput: the model asks. ``is_blocking``: its turn waits for the answer."""

    thread_id: str
    turn_id: str
    item_id: str
    questions: tuple[UserInputQuestion, ...]
    is_blocking: bool
    auto_resolution_ms: int | None = None
    script: ScriptLine | msgspec.UnsetType = msgspec.UNSET


class UserInputAnswer(Wire, frozen=True, kw_only=True):
    answers: tuple[str, ...]


class PathOf(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """A place in the file system. Other types than `path` are a client's to name; we ask for none of them."""

    type: str
    path: str = ""


class FileSystemEntry(Wire, frozen=True, kw_only=True):
    path: PathOf
    access: Literal["read", "write", "deny"]


class FileSystemRights(Wire, frozen=True, kw_only=True):
    """The same said twice, as the original does: as lists, and as entries."""

    read: tuple[str, ...] | None = None
    write: tuple[str, ...] | None = None
    entries: tuple[FileSystemEntry, ...] | None = None


class NetworkRights(Wire, frozen=True, kw_only=True):
    enabled: bool | None = None


class Rights(Wire, frozen=True, kw_only=True):
    """More than the sandbox gives: asked for, or granted."""

    file_system: FileSystemRights | None = None
    network: NetworkRights | None = None


class PermissionsApprovalParams(Wire, frozen=True, kw_only=True):
    """item/permissions/requestApproval: the model asks for rights, for the turn or for the session."""

    thread_id: str
    turn_id: str
    item_id: str
    started_at_ms: int
    environment_id: str
    cwd: str
    permissions: Rights
    reason: str | None = None
    script: ScriptLine | None = None


class ApprovalAnswer(Wire, frozen=True, kw_only=True):
    """A client's answer: a decision, what the user said to the model's questions, or the rights that are granted."""

    decision: str | AmendmentDecision | None = None
    answers: dict[str, UserInputAnswer] | None = None
    permissions: Rights | None = None
    """Of a request for rights: those that are granted, none for a no."""
    scope: Literal["turn", "session"] = "turn"
    strict_auto_review: bool | None = None
    """What is done with the rights in this turn is to be reviewed. Nothing here reviews but people: they are asked."""
