"""The live tree as data: what `callboard ps`, the metrics and the console show."""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One actor, or one supervisor, at one moment."""

    id: str
    """Unique among its siblings."""
    kind: str
    state: str
    """What the actor says it is doing, else where its supervisor has it: starting, running, restarting, stopping …"""
    mailbox_depth: int = 0
    mailbox_peak: int = 0
    message_age_seconds: float | None = None
    """How long it has had its present batch of messages in hand; None while it waits for messages."""
    restarts: int = 0
    last_failure: str | None = None
    """Exception class and text of its last crash."""
    children: tuple[Node, ...] = ()


def render(node: Node, *, indent: int = 0) -> str:
    """The tree as indented lines, for a terminal or a test."""
    parts = [f"{'  ' * indent}{node.id}", node.kind, node.state]
    if node.mailbox_depth or node.mailbox_peak:
        parts.append(f"mailbox {node.mailbox_depth} (peak {node.mailbox_peak})")
    if node.message_age_seconds is not None and node.message_age_seconds >= OLD_MESSAGE_SECONDS:
        parts.append(f"in hand for {node.message_age_seconds:.1f} s")
    if node.restarts:
        parts.append(f"restarts {node.restarts}")
    if node.last_failure:
        parts.append(f"last failure {node.last_failure}")
    lines = ["  ".join(parts)]
    lines.extend(render(child, indent=indent + 1) for child in node.children)
    return "\n".join(lines)


OLD_MESSAGE_SECONDS = 0.1
"""Younger than this is an actor at work, not one to worry about."""
