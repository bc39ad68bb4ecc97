"""``callboard undo``: take back what a thread's last turn changed in its worktree, whoever changed it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached
from actors.console.screen import Screen
from actors.console.threads import resolve


async def run(named: str | None, turn_id: str | None, *, as_json: bool, flags: Sequence[str] = ()) -> int:
    """Take it back and say what was; the exit code. Raises NotReachableError, WireError."""
    async with attached(homes.home(), "callboard-undo", flags=flags) as client:
        thread_id = await resolve(client, named)
        params = {"threadId": thread_id, "turnId": turn_id}
        done = await client.request("callboard/thread/undo", params)
    if as_json:
        print(msgspec.json.encode(done).decode())
        return 0
    console = Screen()
    console.print(Text(f"turn {done['turnId']} in {done['root']}", style="dim"))
    for path in done["restored"]:
        console.print(Text.assemble(("restored ", "green"), path))
    for path in done["removed"]:
        console.print(Text.assemble(("removed  ", "yellow"), path))
    if not done["restored"] and not done["removed"]:
        console.print("It had changed no file; nothing was taken back.")
    if done["leftOut"]:
        console.print(Text("Not in the snapshot, so left as they are:\n" + done["leftOut"], style="dim"))
    return 0
