"""Taking snapshots: the worktree before a turn's first change, and at the turn's end.

A snapshot is a commit under `refs/turns/THREAD/TURN/before` or `…/after` in our own repository. Tracked files are all
in it; untracked ones as far as the limits allow, and what was left out is named in its message, so that an undo can
say what it does not know. One snapshot of a worktree at a time: they share an index.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from typing import Literal

import msgspec
import trio

from actors.ports import Files, Ports
from actors.session.git_info import Repository, find_repository
from actors.tool_worker.snapshots.folders import TELL_FOLDERS
from actors.tool_worker.snapshots.git import ShadowRepository, SnapshotError
from messages.base import ThreadId, TurnId

UNTRACKED_FILE_BYTES_MAX = 10 * 1024 * 1024
"""A larger untracked file is a download or a build's output, not somebody's work."""

UNTRACKED_FILES_MAX = 5000
"""More than this are a forgotten folder of dependencies; hashing them would hold up the first command of every turn."""

TURNS_KEPT = 50
"""Per thread. Older snapshots are dropped, and their objects two days later."""

LEFT_OUT_SHOWN = 20
"""Names of left-out files in a snapshot's message."""

LEFT_OUT = "left out:\n"
"""What introduces them."""

Moment = Literal["before", "after"]


class Snapshots:
    """All snapshots of a daemon. ``environment`` is what git runs in."""

    def __init__(self, ports: Ports, *, home: str, environment: Mapping[str, str]) -> None:
        self.ports = ports
        self._home = home
        self._environment = environment
        self._locks: dict[str, trio.Lock] = {}

    async def repository(self, cwd: str) -> ShadowRepository | None:
        """Ours for the worktree that ``cwd`` lies in; None outside of one. Raises SnapshotError."""
        try:
            found = await self.ports.threads.run(find_repository, self.ports.files, cwd)
        except (OSError, UnicodeDecodeError) as error:
            raise SnapshotError(f"the repository of {cwd} cannot be read: {error}") from error
        return None if found is None else await self._ours(found)

    async def _ours(self, found: Repository) -> ShadowRepository:
        shadow = ShadowRepository(self.ports, found, home=self._home, environment=self._environment)
        await shadow.prepare()
        return shadow

    def lock(self, shadow: ShadowRepository) -> trio.Lock:
        """Held while its index is used."""
        return self._locks.setdefault(shadow.path, trio.Lock())

    async def take(self, cwd: str, thread_id: ThreadId, turn_id: TurnId, moment: Moment) -> bool:
        """Take one; False outside a git worktree. Raises SnapshotError."""
        shadow = await self.repository(cwd)
        if shadow is None:
            return False
        async with self.lock(shadow):
            commit = await self.commit(shadow, f"{moment} turn {turn_id}")
            await shadow.git("update-ref", ref(thread_id, turn_id, moment), commit)
            if moment == "before":
                await _drop_old(shadow, thread_id)
        return True

    async def commit(self, shadow: ShadowRepository, message: str) -> str:
        """The worktree as it is, as a commit; the lock must be held. Raises SnapshotError."""
        listed = await shadow.git("ls-files", "-z", "--others", "--exclude-standard")
        untracked = [path for path in listed.output.split(b"\0") if path]
        kept, left_out = await self.ports.threads.run(_within_limits, self.ports.files, shadow.root, untracked)
        if left_out:
            # What the user tracks is new to our index when that is: the limits are not meant for it.
            known = await shadow.tracked()
            others = [path for path in untracked if path not in known]
            kept, left_out = await self.ports.threads.run(_within_limits, self.ports.files, shadow.root, others)
            kept += [path for path in untracked if path in known]
        text = f"{message}\n\n" + (f"{LEFT_OUT}{left_out}\n" if left_out else "")
        script = (
            f"git add -u; git update-index --add -z --stdin; {{ printf %s {shlex.quote(text)}; {TELL_FOLDERS}; }} "
            "| git commit-tree -F - $(git write-tree)"
        )
        return (await shadow.script(script, stdin=b"".join(path + b"\0" for path in kept))).decode().strip()


def ref(thread_id: ThreadId, turn_id: TurnId, moment: Moment) -> str:
    """Where a snapshot is found again."""
    return f"{folder(thread_id)}{turn_id}/{moment}"


def folder(thread_id: ThreadId) -> str:
    """The refs of one thread."""
    return f"refs/turns/{thread_id}/"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that has a snapshot from before it."""

    turn_id: TurnId
    has_end: bool


async def kept_turns(shadow: ShadowRepository, thread_id: ThreadId) -> tuple[Kept, ...]:
    """The turns of a thread that can be looked back to, oldest first. Raises SnapshotError."""
    listed = await shadow.git("for-each-ref", "--format=%(refname)", folder(thread_id))
    names = listed.output.decode().split()
    turns = sorted({name.split("/")[3] for name in names if name.endswith("/before")})
    return tuple(Kept(turn_id=TurnId(turn), has_end=ref(thread_id, TurnId(turn), "after") in names) for turn in turns)


async def _drop_old(shadow: ShadowRepository, thread_id: ThreadId) -> None:
    old = (await kept_turns(shadow, thread_id))[:-TURNS_KEPT]
    if not old:
        return
    lines = [f"delete {ref(thread_id, turn.turn_id, moment)}\n" for turn in old for moment in _MOMENTS]
    await shadow.git("update-ref", "--stdin", stdin="".join(lines).encode())
    await shadow.git("prune", "--expire=2.days.ago")


_MOMENTS: tuple[Moment, ...] = ("before", "after")


def _within_limits(files: Files, root: str, untracked: list[bytes]) -> tuple[list[bytes], str]:
    """Which untracked files are taken, and the names of those that are not, for people."""
    if len(untracked) > UNTRACKED_FILES_MAX:
        return [], f"{len(untracked)} untracked files (more than {UNTRACKED_FILES_MAX})"
    kept: list[bytes] = []
    large: list[str] = []
    for path in untracked:
        name = path.decode("utf-8", "surrogateescape")
        stat = files.stat(posixpath.join(root, name), follow=False)
        if stat is None or stat.kind not in ("file", "symlink"):
            continue
        if stat.size > UNTRACKED_FILE_BYTES_MAX:
            large.append(path.decode("utf-8", "replace"))
        else:
            kept.append(path)
    more = f"\nand {len(large) - LEFT_OUT_SHOWN} more" if len(large) > LEFT_OUT_SHOWN else ""
    return kept, "\n".join(large[:LEFT_OUT_SHOWN]) + more
