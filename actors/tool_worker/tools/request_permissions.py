"""request_permissions: ask people for rights that the sandbox does not give, for the commands and patches that follow.

The question is the session's, like any approval: in the log, answered once, outliving disconnects and restarts. What is
granted comes into force for calls that are prepared after it. Asking for what the sandbox leaves open anyway bothers
nobody: the worker answers that itself.

What nobody can be asked for: the protected folders (they steer tools that run outside of any sandbox later), the
daemon's own home, and everything at once; a single command can be asked about with `require_escalated`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import trio

from actors.tool_worker.confinement.ground import PROTECTED_NAMES, is_below
from actors.tool_worker.permissions import told
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from messages.approval import PermissionNeed
from messages.permissions import PermissionGrant, Permissions

PATHS_MAX = 32
"""In one request: what people read before they answer."""

REASON_CHARS_MAX = 1_000
"""A sentence or two."""


class FileSystemArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    read: Annotated[tuple[str, ...], msgspec.Meta(description="Files and folders to read.")] = ()
    write: Annotated[tuple[str, ...], msgspec.Meta(description="Files and folders to change; they must exist.")] = ()


class NetworkArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: Annotated[bool, msgspec.Meta(description="true: reach the network.")] = False


class PermissionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file_system: FileSystemArguments | None = None
    network: NetworkArguments | None = None


class RequestPermissionsArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    permissions: Annotated[PermissionArguments, msgspec.Meta(description="No more than the next commands need.")]
    reason: Annotated[str | None, msgspec.Meta(description="One sentence for the user on why.")] = None
    environment_id: Annotated[Literal["local"] | None, msgspec.Meta(description="There is one: local.")] = None


class RequestPermissions(FunctionTool[RequestPermissionsArguments]):
    """Semantics: reference/core CORE §1.5; the question: reference/protocol, PermissionsRequestApproval."""

    name = "request_permissions"
    description = (
        "Ask the user for rights beyond the sandbox, for all commands and patches that come after the answer, in this "
        "turn or session: folders to write, the network. Returns what was granted."
    )
    needs = ("permissions",)

    def __init__(self) -> None:
        super().__init__(RequestPermissionsArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        asked = arguments.permissions
        files = asked.file_system or FileSystemArguments()
        if len(files.read) + len(files.write) > PATHS_MAX:
            raise ToolError(f"at most {PATHS_MAX} paths can be asked for at once")
        if arguments.reason is not None and len(arguments.reason) > REASON_CHARS_MAX:
            raise ToolError(f"the reason may have at most {REASON_CHARS_MAX} characters")
        wanted = Permissions(
            read=await _resolved(job, files.read),
            write=await _resolved(job, files.write),
            network=asked.network is not None and asked.network.enabled,
        )
        if not wanted:
            raise ToolError("permissions must name at least one path or the network")
        for path in wanted.write:
            _refuse_what_no_one_grants(path, job.workshop.home)
            if (kept := await job.workshop.fixed(path)) is not None:
                raise ToolError(f"{path} cannot be asked for: the thread's permission profile keeps {kept} as it is")
        covered = await job.workshop.covers(wanted)

        async def run() -> Result:
            await trio.lowlevel.checkpoint()
            if not covered:
                raise ToolError("request_permissions was run without anybody having been asked")
            return Result(output=told(PermissionGrant(permissions=wanted, scope="turn")))

        need = PermissionNeed(cwd=job.workshop.settings.cwd, permissions=wanted, reason=arguments.reason)
        # It takes its place in the order of the calls: what comes behind it may have asked because of it.
        return Prepared(
            item=generic_item(job.call),
            run=run,
            parallel_safe=False,
            side_effects=False,
            approval=None if covered else need,
        )


async def _resolved(job: Job, paths: Sequence[str]) -> tuple[str, ...]:
    """The paths, absolute and without symbolic links. Raises ToolError for one that is not there."""
    workshop = job.workshop
    files = workshop.ports.files

    def look() -> tuple[str, ...]:
        found: list[str] = []
        for path in paths:
            if not path or "\0" in path:
                raise ToolError("a path is empty, or holds a NUL character")
            whole = workshop.resolve(path)
            try:
                there = files.stat(whole)
            except OSError as error:
                raise ToolError(f"{whole} cannot be looked at: {error.strerror or error}") from error
            if there is None:
                raise ToolError(f"{whole} does not exist; ask for the folder that it is to be made in")
            found.append(files.resolve(whole))
        return tuple(dict.fromkeys(found))

    return await workshop.ports.threads.run(look)


def _refuse_what_no_one_grants(path: str, home: str) -> None:
    if path == posixpath.sep:
        raise ToolError(
            "the right to write everywhere cannot be asked for; ask for the folders, or for a single command with "
            'sandbox_permissions "require_escalated"'
        )
    name = next((part for part in path.split(posixpath.sep) if part in PROTECTED_NAMES), None)
    if name is not None:
        raise ToolError(
            f"{path} cannot be asked for: {name} steers what runs outside the sandbox later; ask for the single "
            'command with sandbox_permissions "require_escalated"'
        )
    if home and is_below(path, home):
        raise ToolError(f"{path} cannot be asked for: it is callboard's own")
