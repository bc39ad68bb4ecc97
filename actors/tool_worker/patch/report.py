"""What a patch is said to have done: on a command's stdout, to the model, and on a client's screen."""

from __future__ import annotations

from actors.tool_worker.patch.execute import NO_FILES_MODIFIED, PatchOutcome
from actors.tool_worker.patch.line_diff import unified_hunks
from actors.tool_worker.patch.parse import PatchError
from messages.client.item import AddChange, DeleteChange, FileUpdateChange, UpdateChange
from messages.patch import FileContent, FileRevision, Unread

SUCCESS = "Success. Updated the following files:"


def summary(outcome: PatchOutcome) -> str:
    """The files changed, additions first, then modifications, then deletions; paths as the patch wrote them."""
    if not outcome.applied:
        return NO_FILES_MODIFIED + "\n"
    lines = [SUCCESS]
    for letter in "AMD":
        lines += [f"{letter} {hunk.shown_path}" for hunk in outcome.applied if hunk.letter == letter]
    return "\n".join(lines) + "\n"


def tool_output(outcome: PatchOutcome, *, wall_seconds: float) -> str:
    """What the model is told. After a failure half way it must know what is already changed."""
    body = summary(outcome)
    if outcome.error is not None:
        body = f"{outcome.error}\n"
        if outcome.applied:
            done = "\n".join(f"{hunk.letter} {hunk.shown_path}" for hunk in outcome.applied)
            body += f"These changes were made before the failure and stay:\n{done}\n"
    shown = f"{wall_seconds:.1f}".removesuffix(".0")
    return f"Exit code: {0 if outcome.error is None else 1}\nWall time: {shown} seconds\nOutput:\n{body}"


def verification_failure(error: PatchError) -> str:
    """What the model is told about a patch that was refused before anything was written."""
    return f"apply_patch verification failed: {error}"


def file_changes(revisions: tuple[FileRevision, ...]) -> tuple[FileUpdateChange, ...]:
    """For the client's fileChange item: the whole content of an added or deleted file, unified hunks of a changed one.

    A file added over another is shown as the change it is; if the old content is not text, or was not read, as added.
    """
    return tuple(map(_file_change, revisions))


def _file_change(revision: FileRevision) -> FileUpdateChange:
    before = text_of(revision.before)
    if revision.after is None:
        return FileUpdateChange(path=revision.path, kind=DeleteChange(), diff=before or "")
    after = revision.after.decode()
    if revision.moved_to is None and (revision.before is None or before is None):
        return FileUpdateChange(path=revision.path, kind=AddChange(), diff=after)
    return FileUpdateChange(
        path=revision.path,
        kind=UpdateChange(move_path=revision.moved_to),
        diff=unified_hunks(before or "", after),
    )


def text_of(content: FileContent) -> str | None:
    """The text, "" for a missing file, None for what is not text."""
    if content is None:
        return ""
    if isinstance(content, Unread):
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
