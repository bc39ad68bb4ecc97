"""``callboard threads``: what there is to attach to; and how a thread is named on the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached
from actors.console.client import Client, WireError
from actors.console.screen import Screen

SHORT = 8
"""Of an id, from its end: the random part. Two threads share it once in four billion."""

PAGE = 100

STATES = {"notLoaded": "", "idle": "loaded", "active": "working", "systemError": "failed"}


class NoSuchThreadError(WireError):
    """The command line names no thread, or several."""

    def __init__(self, text: str) -> None:
        super().__init__("attach", 0, text)

    def __str__(self) -> str:
        return self.reason


async def resolve(client: Client, named: str | None) -> str:
    """The id of the thread that is meant: an id, the beginning or end of one, a name, or (None) the latest.

    Raises NoSuchThreadError.
    """
    threads = (await client.request("thread/list", {"limit": PAGE, "sortKey": "updated_at"}))["data"]
    loaded = (await client.request("thread/loaded/list"))["data"]
    if named is None:
        return await _latest(client, threads, loaded)
    ids = [*dict.fromkeys([*(thread["id"] for thread in threads), *loaded])]
    if named in ids:
        return named
    found = [id_ for id_ in ids if id_.startswith(named) or id_.endswith(named)]
    found = found or [thread["id"] for thread in threads if thread.get("name") == named]
    match found:
        case [one]:
            return str(one)
        case []:
            # It may be older than the page: then only its whole id tells.
            try:
                return str((await client.request("thread/read", {"threadId": named}))["thread"]["id"])
            except WireError:
                raise NoSuchThreadError(f"There is no thread {named!r}; see: callboard threads") from None
        case _:
            shown = ", ".join(id_[-SHORT:] for id_ in found[:5])
            raise NoSuchThreadError(f"{named!r} could be any of {len(found)} threads: {shown}")


async def _latest(client: Client, threads: list[dict[str, Any]], loaded: list[str]) -> str:
    """The list leaves out threads in which nothing was said yet; one of those may be the latest."""
    listed = {thread["id"] for thread in threads}
    for thread_id in loaded:
        if thread_id not in listed:
            threads = [*threads, (await client.request("thread/read", {"threadId": thread_id}))["thread"]]
    if not threads:
        raise NoSuchThreadError("There are no threads yet. Start one with: callboard attach --new")
    return str(max(threads, key=lambda thread: thread["updatedAt"])["id"])


async def show(*, search: str | None, limit: int, as_json: bool, flags: Sequence[str] = ()) -> int:
    """Print the list, newest first; the exit code."""
    async with attached(homes.home(), "callboard-threads", flags=flags) as client:
        threads = await _threads(client, search, limit)
    if as_json:
        print(msgspec.json.encode(threads).decode())
    elif threads:
        Screen().print(table(threads, time.time()))
    else:
        print("no threads" if search is None else f"no thread matches {search!r}")
    return 0


async def _threads(client: Client, search: str | None, limit: int) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"limit": min(limit, PAGE), "sortKey": "updated_at", "searchTerm": search}
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        page = await client.request("thread/list", params)
        found += page["data"]
        if page.get("nextCursor") is None:
            break
        params["cursor"] = page["nextCursor"]
    return found[:limit]


def table(threads: list[dict[str, Any]], now: float) -> Table:
    """As a person reads it. The shortened id is what `attach` takes."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    made.add_column("thread", no_wrap=True, min_width=SHORT)
    made.add_column("state", no_wrap=True, min_width=7)
    made.add_column("changed", no_wrap=True, justify="right", min_width=7)
    made.add_column("folder", no_wrap=True, overflow="ellipsis", min_width=12, max_width=28)
    made.add_column("about", no_wrap=True, overflow="ellipsis")
    for thread in threads:
        state = STATES[thread["status"]["type"]]
        if "waitingOnApproval" in (thread["status"].get("activeFlags") or ()):
            state = "asks"
        style = {"working": "green", "asks": "bold yellow", "failed": "red"}.get(state, "dim")
        made.add_row(
            Text(thread["id"][-SHORT:], style="bold"),
            Text(state, style=style),
            ago(now - thread["updatedAt"]),
            _folder(thread["cwd"]),
            Text(thread.get("name") or thread["preview"]),
        )
    return made


def ago(seconds: float) -> str:
    """How long ago, roughly."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "now"


def _folder(path: str) -> str:
    parts = path.rstrip("/").split("/")
    return path if len(parts) <= 3 else f"…/{'/'.join(parts[-2:])}"
