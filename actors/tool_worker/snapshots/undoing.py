"""Taking a turn back: every file it changed is put back to what it was before the turn, or nothing is.

What the turn changed is the difference between its two snapshots. If one of these paths is no longer as the turn left
it, somebody has worked on since, and the undo is refused with their names: their work is not ours to overwrite. What
has to be restored is checked to be there before the first file is touched.
"""

from __future__ import annotations

import posixpath

from actors.ports import Files
from actors.tool_worker.snapshots import folders
from actors.tool_worker.snapshots.git import ShadowRepository, SnapshotError
from actors.tool_worker.snapshots.keeping import LEFT_OUT, Snapshots, kept_turns, ref
from messages.base import ThreadId, TurnId
from messages.session import TurnUndone

PATHS_SHOWN = 10
"""Of those that stand in the way."""

UNDO_INDEX = "undo"

GITLINK = "160000"
"""The mode of a submodule, or of a repository inside the worktree."""


async def undo(snapshots: Snapshots, cwd: str, thread_id: ThreadId, turn_id: TurnId | None) -> TurnUndone:
    """Take back one turn, or the last that can be. Raises SnapshotError; then nothing has been touched, unless the
    text says which file could not be written."""
    shadow = await snapshots.repository(cwd)
    if shadow is None:
        raise SnapshotError(f"{cwd} lies in no git worktree, so there are no snapshots to go back to")
    async with snapshots.lock(shadow):
        chosen = await _chosen(shadow, thread_id, turn_id)
        before, after = ref(thread_id, chosen, "before"), ref(thread_id, chosen, "after")
        now = await snapshots.commit(shadow, "now")
        changed = await _changes(shadow, before, after)
        await _refuse_if_moved_on(shadow, changed, after, now)
        restored = tuple(path for path, status in changed.items() if status != "A")
        removed = tuple(path for path, status in changed.items() if status == "A")
        await _check_blobs(shadow, before, restored)
        await shadow.git("read-tree", before, index=UNDO_INDEX)
        try:
            await snapshots.ports.threads.run(_remove, snapshots.ports.files, shadow.root, removed)
        except OSError as error:
            raise SnapshotError(f"{error.filename or shadow.root} cannot be removed: {error.strerror}") from error
        await shadow.git("checkout-index", "--force", "-z", "--stdin", index=UNDO_INDEX, stdin=_lines(restored))
        message, at_end = [await _message(shadow, moment) for moment in (before, after)]
        new, old = folders.made(message, at_end, removed)
        await snapshots.ports.threads.run(folders.remove_empty, snapshots.ports.files, shadow.root, new, old)
        for moment in (before, after):
            await shadow.git("update-ref", "-d", moment)
    _, _, left_out = folders.without(message).partition(LEFT_OUT)
    return TurnUndone(turn_id=chosen, root=shadow.root, restored=restored, removed=removed, left_out=left_out.strip())


async def _chosen(shadow: ShadowRepository, thread_id: ThreadId, turn_id: TurnId | None) -> TurnId:
    kept = await kept_turns(shadow, thread_id)
    found = next((turn for turn in reversed(kept) if turn_id in (None, turn.turn_id)), None)
    if found is None:
        which = "no turn of this thread can" if turn_id is None else f"turn {turn_id} cannot"
        raise SnapshotError(f"{which} be taken back: nothing was changed here, or that was undone already")
    if not found.has_end:
        raise SnapshotError(
            f"the daemon did not see the end of turn {found.turn_id}, so what it changed cannot be told from what came "
            "after; look at `git status` and take it back by hand"
        )
    return found.turn_id


async def _message(shadow: ShadowRepository, commit: str) -> str:
    return (await shadow.git("log", "-1", "--format=%b", commit)).output.decode("utf-8", "surrogateescape")


async def _changes(shadow: ShadowRepository, before: str, after: str) -> dict[str, str]:
    """Path -> A(dded), D(eleted), M(odified) or T(ype changed) in between. Repositories inside are not looked into."""
    listed = await shadow.git("diff-tree", "-r", "-z", "--no-renames", "--raw", before, after)
    words = listed.output.decode("utf-8", "surrogateescape").split("\0")
    return {
        path: status[-1]
        for status, path in zip(words[0::2], words[1::2], strict=False)
        if GITLINK not in status[1:].split(" ")[:2]
    }


async def _refuse_if_moved_on(shadow: ShadowRepository, changed: dict[str, str], after: str, now: str) -> None:
    moved = sorted(path for path in await _changes(shadow, after, now) if path in changed)
    if moved:
        more = f" and {len(moved) - PATHS_SHOWN} more" if len(moved) > PATHS_SHOWN else ""
        raise SnapshotError(
            f"these files were changed after the turn: {', '.join(moved[:PATHS_SHOWN])}{more}; nothing was taken back"
        )


async def _check_blobs(shadow: ShadowRepository, before: str, paths: tuple[str, ...]) -> None:
    """The objects are borrowed from the user's repository, which may have dropped some."""
    asked = "".join(f"{before}:{path}\n" for path in paths if "\n" not in path)
    if not asked:
        return
    told = await shadow.git("cat-file", "--batch-check", stdin=asked.encode("utf-8", "surrogateescape"))
    missing = [line for line in told.output.decode("utf-8", "replace").splitlines() if line.endswith(" missing")]
    if missing:
        raise SnapshotError(f"git has dropped the contents of {len(missing)} of the files; nothing was taken back")


def _lines(paths: tuple[str, ...]) -> bytes:
    return "".join(path + "\0" for path in paths).encode("utf-8", "surrogateescape")


def _remove(files: Files, root: str, paths: tuple[str, ...]) -> None:
    for path in paths:
        whole = posixpath.join(root, path)
        if files.stat(whole, follow=False) is not None:
            files.remove(whole)
