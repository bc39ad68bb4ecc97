"""apply_patch: change files by a patch. A freeform tool where the wire has such; its input is the patch itself."""

from __future__ import annotations

import msgspec

from actors.tool_worker.needs import patch_need
from actors.tool_worker.patch.execute import PatchPlan, apply_plan, plan_patch
from actors.tool_worker.patch.parse import PatchError
from actors.tool_worker.patch.report import file_changes, tool_output, verification_failure
from actors.tool_worker.tool import Arguments, Job, Prepared, Result, ToolError
from messages.client.item import FileChange
from messages.model import ToolSpec

GRAMMAR = r"""
start: begin hunk+ end
begin: "*** Begin Patch" LF
end: "*** End Patch" LF?

hunk: add | delete | update
add: "*** Add File: " path LF added+
delete: "*** Delete File: " path LF
update: "*** Update File: " path LF move? change?
move: "*** Move to: " path LF

added: "+" /(.*)/ LF
change: (header | line)+ eof?
header: ("@@" | "@@ " /(.+)/) LF
line: ("+" | "-" | " ") /(.*)/ LF
eof: "*** End of File" LF
path: /(.+)/

%import common.LF
"""
"""Lark grammar of the format (reference/core CORE §1.4), for models that are held to it while they write."""

DESCRIPTION = """\
Add, change, move or delete files. The input is a patch, not JSON:

*** Begin Patch
*** Add File: path/new.txt
+each line of the new file
*** Update File: path/file.py
*** Move to: path/renamed.py
@@ def f():
 context line
-old line
+new line
*** Delete File: path/gone.txt
*** End Patch

Paths are relative to the working directory. Give about three lines of context around each change; `@@ text` names a
line that comes before it."""


class ApplyPatchArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands for the freeform input on a wire that has none."""

    input: str


_wrapped: msgspec.json.Decoder[ApplyPatchArguments] = msgspec.json.Decoder(ApplyPatchArguments)


class ApplyPatch:
    """Semantics: reference/core CORE §1.4."""

    spec = ToolSpec(name="apply_patch", description=DESCRIPTION, grammar=GRAMMAR.strip() + "\n", needs=("patches",))

    async def prepare(self, job: Job) -> Prepared:
        return await prepare_patch(job, patch_text(job), job.workshop.settings.cwd)


def patch_text(job: Job) -> str:
    """The patch of a call, freeform or wrapped. Raises ToolError."""
    if job.call.freeform:
        return job.call.arguments
    try:
        return _wrapped.decode(job.call.arguments).input
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise ToolError(f"failed to parse function arguments: {error}") from error


async def prepare_patch(job: Job, text: str, cwd: str) -> Prepared:
    """A call that applies ``text`` in ``cwd``. Raises ToolError when it does not parse or does not fit the files."""
    workshop = job.workshop
    ports = workshop.ports

    def plan() -> tuple[PatchPlan, list[tuple[str, str]], list[str], list[str]]:
        made = plan_patch(text, cwd, ports.files)
        resolved = [(path, ports.files.resolve(path)) for path in made.paths]
        roots, kept = workshop.writable_roots(), workshop.kept_paths()
        return made, resolved, [*map(ports.files.resolve, roots)], [*map(ports.files.resolve, kept)]

    try:
        made, paths, roots, kept = await ports.threads.run(plan)
    except PatchError as error:
        raise ToolError(verification_failure(error)) from error
    item = FileChange(id=job.call.item_id, changes=file_changes(made.revisions), status="inProgress")

    async def run() -> Result:
        began = ports.clock.monotonic()
        outcome = await ports.threads.run(apply_plan, made, ports.files)
        failed = outcome.error is not None
        return Result(
            output=tool_output(outcome, wall_seconds=ports.clock.monotonic() - began),
            outcome="failed" if failed else "done",
            item=msgspec.structs.replace(
                item,
                status="failed" if failed else "completed",
                changes=file_changes(outcome.revisions) if failed and outcome.applied else item.changes,
            ),
            revisions=outcome.revisions,
        )

    return Prepared(
        item=item,
        run=run,
        parallel_safe=False,
        side_effects=True,
        approval=patch_need(paths, roots, workshop.settings.sandbox_mode, kept=kept),
    )
