"""``callboard hooks``: the user's programs that hear of events, and which of them may run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached
from actors.console.screen import Screen
from actors.hooks.runner import read_trusted, write_trusted
from actors.ports.production.files import SystemFiles


async def show(*, as_json: bool, flags: Sequence[str] = ()) -> int:
    """List them with their trust; the exit code. Raises NotReachableError, WireError."""
    entry = await _listed(flags)
    if as_json:
        print(msgspec.json.encode(entry).decode())
        return 0
    for error in entry["errors"]:
        print(f"callboard: {error['path']}: {error['message']}", file=sys.stderr)
    if not entry["hooks"]:
        print("no hooks are configured; docs/hooks.md says how")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("hook", "trust", "matcher", "command"):
        table.add_column(heading, overflow="fold")
    for hook in entry["hooks"]:
        style = "green" if hook["trustStatus"] == "trusted" else "yellow"
        table.add_row(
            Text(hook["key"], style="bold"), Text(hook["trustStatus"], style=style), hook["matcher"], hook["command"]
        )
    Screen().print(table)
    return 0


async def trust(keys: list[str], *, everything: bool, trusted: bool, flags: Sequence[str] = ()) -> int:
    """Let these run, or no longer; a running daemon heeds it at once. Raises NotReachableError, WireError, OSError."""
    hooks = (await _listed(flags))["hooks"]
    chosen = [hook for hook in hooks if everything or hook["key"] in keys]
    unknown = sorted(set(keys) - {hook["key"] for hook in hooks})
    if unknown or not chosen:
        what = f"no hook is called {', '.join(unknown)}" if unknown else "name a hook, or say --all"
        print(f"callboard: {what}; see: callboard hooks list", file=sys.stderr)
        return 1
    files, home = SystemFiles(), str(homes.home())
    known = read_trusted(files, home)
    for hook in chosen:
        if trusted:
            known[hook["currentHash"]] = hook["command"]
        else:
            known.pop(hook["currentHash"], None)
        print(f"{'trusted' if trusted else 'no longer trusted'}: {hook['key']}  {hook['command']}")
    write_trusted(files, home, known)
    return 0


async def _listed(flags: Sequence[str]) -> dict[str, Any]:
    async with attached(homes.home(), "callboard-hooks", flags=flags) as client:
        listed = await client.request("hooks/list")
    found: dict[str, Any] = listed["data"][0]
    return found
