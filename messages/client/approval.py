"""Questions to the user: requests that we send to every client that watches the thread. The first answer counts."""

from __future__ import annotations

from typing import Any

from messages.client.item import CommandAction, Wire


class CommandApprovalParams(Wire, frozen=True, kw_only=True):
    """item/commandExecution/requestApproval"""

    thread_id: str
    turn_id: str
    item_id: str
    started_at_ms: int
    kind: str
    command: str
    cwd: str
    command_actions: tuple[CommandAction, ...]
    available_decisions: tuple[str, ...]
    reason: str | None = None


class FileChangeApprovalParams(Wire, frozen=True, kw_only=True):
    """item/fileChange/requestApproval; the changes are in the item."""

    thread_id: str
    turn_id: str
    item_id: str
    started_at_ms: int
    reason: str | None = None


class ApprovalAnswer(Wire, frozen=True, kw_only=True):
    """A client's answer. An object is a decision with an amendment to rules, which we do not keep."""

    decision: str | dict[str, Any]
