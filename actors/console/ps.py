"""``callboard`` and ``callboard ps``: what a running daemon is doing."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from rich.tree import Tree

from actors.console.client import connect
from actors.console.home import Running
from actors.console.screen import Screen


async def show(found: Running, token: str | None, *, as_json: bool) -> None:
    """Print the live tree. Raises NotReachableError."""
    async with connect(found.address, token=token) as client:
        status = await client.request("callboard/status")
    if as_json:
        print(msgspec.json.encode(status).decode())
        return
    console = Screen()
    console.print(summary(found, status), highlight=False, soft_wrap=True)
    console.print(_tree(status["tree"]), highlight=False)


def summary(found: Running, status: dict[str, Any]) -> str:
    """One line about the daemon."""
    up = _span(time.time() - found.started_at)
    threads = status.get("threads", {})
    loaded, active = threads.get("loaded", 0), threads.get("active", 0)
    connections = status.get("connections", 0)
    return (
        f"callboard {found.version} listens on {found.address} (pid {found.pid}, up {up}): "
        f"{loaded} threads loaded, {active} active, {connections} connections"
    )


def _tree(node: dict[str, Any]) -> Tree:
    root = Tree(_label(node), guide_style="dim")
    _grow(root, node)
    return root


def _grow(branch: Tree, node: dict[str, Any]) -> None:
    for child in node.get("children", ()):
        _grow(branch.add(_label(child)), child)


def _label(node: dict[str, Any]) -> str:
    parts = [f"[bold]{node['id']}[/]"]
    if node.get("state"):
        parts.append(f"[dim]{node['state']}[/]")
    if node.get("mailboxDepth"):
        parts.append(f"mailbox {node['mailboxDepth']}")
    if node.get("mailboxPeak"):
        parts.append(f"[dim]peak {node['mailboxPeak']}[/]")
    if node.get("messageAgeSeconds"):
        parts.append(f"[yellow]busy {_span(node['messageAgeSeconds'])}[/]")
    if node.get("restarts"):
        parts.append(f"[yellow]{node['restarts']} restarts[/]")
    if node.get("lastFailure"):
        parts.append(f"[red]{node['lastFailure']}[/]")
    return "  ".join(parts)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
