"""``callboard tasks`` and ``callboard apply``: what ran in the cloud, and its changes here.

The daemon asks the backend, because it has the login; the diff is applied by this process, with the rights and in the
folder of whoever typed the command.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import trio
from rich.table import Table
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached
from actors.console.diff_applying import ConflictError, NotAppliedError, apply_diff
from actors.console.screen import Screen
from actors.console.threads import ago

OK, FAILED, CONFLICTS = 0, 1, 3

PAGE = 100
"""The most the daemon gives at once."""


async def run(task_id: str | None, *, limit: int, as_json: bool, flags: Sequence[str] = ()) -> int:
    """List tasks, or show one; the exit code. Raises NotReachableError, WireError."""
    async with attached(homes.home(), "callboard-tasks", flags=flags) as client:
        if task_id is not None:
            found = await client.request("callboard/tasks/read", {"taskId": task_id})
            print(msgspec.json.encode(found).decode() if as_json else described(found))
            return OK
        tasks: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": min(limit, PAGE)}
        while len(tasks) < limit:
            page = await client.request("callboard/tasks/list", params)
            tasks += page["data"]
            cursor = page.get("nextCursor")
            if cursor is None or cursor == params.get("cursor"):
                break
            params["cursor"] = cursor
    tasks = tasks[:limit]
    if as_json:
        print(msgspec.json.encode(tasks).decode())
    elif tasks:
        Screen().print(table(tasks, time.time()))
    else:
        print("no tasks")
    return OK


async def apply(task_id: str, folder: str, *, flags: Sequence[str] = ()) -> int:
    """Apply a task's diff; the exit code. Raises NotReachableError, WireError."""
    async with attached(homes.home(), "callboard-apply", flags=flags) as client:
        task = await client.request("callboard/tasks/read", {"taskId": task_id})
    diff = task.get("diff")
    if not diff:
        why = task.get("error") or f"it is {task.get('status') or 'in an unknown state'}"
        print(f"callboard: task {task['id']} has no diff: {shown(why)}", file=sys.stderr)
        return FAILED
    try:
        applied = await trio.to_thread.run_sync(apply_diff, diff, folder)
    except ConflictError as conflict:
        print(f"callboard: {conflict}", file=sys.stderr)
        return CONFLICTS
    except NotAppliedError as error:
        print(f"callboard: {error}", file=sys.stderr)
        return FAILED
    if applied.already:
        print(f"Everything of task {task['id']} is in {applied.root} already.")
        return OK
    how = ", merged with what changed here" if applied.merged else ""
    print(f"Applied task {task['id']} to {applied.root}{how}:")
    for path in applied.paths:
        print(f"  {shown(path)}")
    return OK


def described(task: dict[str, Any]) -> str:
    """One task as a person reads it; the diff is for `--json` and `apply`."""
    lines = [shown(f"{task['id']}  {task.get('status') or ''}".rstrip()), shown(task["title"])]
    if task.get("prompt"):
        lines += ["", *(f"> {shown(line)}" for line in task["prompt"].splitlines())]
    for message in task["messages"]:
        lines += ["", *(shown(line) for line in message.splitlines())]
    if task.get("error"):
        lines += ["", f"failed: {shown(task['error'])}"]
    if task.get("diff"):
        count = task["diff"].count("\n")
        lines += ["", f"a diff of {count} lines; apply it with: callboard apply {task['id']}"]
    return "\n".join(lines)


def table(tasks: list[dict[str, Any]], now: float) -> Table:
    """As a person reads it. The id is what `apply` takes, so it is never cut."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    made.add_column("task", no_wrap=True)
    made.add_column("state", no_wrap=True)
    made.add_column("changed", no_wrap=True, justify="right")
    made.add_column("lines", no_wrap=True, justify="right")
    made.add_column("about", no_wrap=True, overflow="ellipsis")
    for task in tasks:
        when = task.get("updatedAt") or task.get("createdAt")
        added, removed = task.get("linesAdded"), task.get("linesRemoved")
        made.add_row(
            Text(shown(task["id"]), style="bold"),
            Text(shown(task.get("status") or "")),
            "" if when is None else ago(now - when),
            "" if added is None and removed is None else f"+{added or 0} -{removed or 0}",
            Text(shown(task["title"])),
        )
    return made


def shown(text: str) -> str:
    """Words of a server without what would steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
