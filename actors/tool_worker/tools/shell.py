"""shell: run one program with its arguments, to its end.

Beside `exec_command` it is the exact one: the words are the program's arguments, no shell looks at them unless one is
named, and nothing goes on in the background. Semantics: reference/core CORE, appendix A.
"""

from __future__ import annotations

import posixpath
from typing import Annotated, Literal

import msgspec

from actors.ports.processes import SpawnRequest
from actors.tool_worker.one_shot import NotStarted, Ran, command_item, run_to_end, spawn_request
from actors.tool_worker.patch.invocation import is_raw_patch, parse_heredoc_invocation
from actors.tool_worker.shell_parse import shell_script
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError
from actors.tool_worker.tools.apply_patch import prepare_patch
from actors.tool_worker.truncation import call_policy, truncate_output
from messages.client.item import CommandExecution

TIMEOUT_DEFAULT_MS = 10_000
"""As models know this tool."""

TIMEOUT_MAX_MS = 3_600_000
"""An hour: what takes longer is started with exec_command and looked at again."""

PATCH_COMMANDS = ("apply_patch", "applypatch")


class ShellArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[
        tuple[str, ...],
        msgspec.Meta(description='The program and its arguments, e.g. ["git", "log", "-1"]. No shell reads them.'),
    ]
    workdir: Annotated[str | None, msgspec.Meta(description="Where to run it; default: the working directory.")] = None
    timeout_ms: Annotated[
        float | None, msgspec.Meta(description="It is ended after this long; default 10000, at most 3600000.")
    ] = None
    sandbox_permissions: Annotated[
        Literal["use_default", "require_escalated"],
        msgspec.Meta(description="require_escalated: ask the user to let it run outside the sandbox."),
    ] = "use_default"
    justification: Annotated[
        str | None, msgspec.Meta(description="With require_escalated: one sentence for the user on why.")
    ] = None


class Shell(FunctionTool[ShellArguments]):
    name = "shell"
    description = (
        "Run one program to its end and return its exit code and output. The arguments are passed as they are; for "
        'pipes, variables or globs use exec_command, or name a shell: ["bash", "-lc", "…"].'
    )
    needs = ("commands",)

    def __init__(self) -> None:
        super().__init__(ShellArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        workshop = job.workshop
        argv = arguments.command
        if not argv or not argv[0]:
            raise ToolError("command must name a program: its first element is empty or missing")
        if any("\0" in word for word in argv):
            raise ToolError("command holds a NUL character, which no argument of a program can")
        milliseconds = TIMEOUT_DEFAULT_MS if arguments.timeout_ms is None else arguments.timeout_ms
        if not milliseconds > 0:
            raise ToolError("timeout_ms must be greater than zero")
        cwd = workshop.resolve(arguments.workdir)
        patch = _as_patch(argv, cwd)
        if patch is not None:
            return await prepare_patch(job, *patch)
        need = await workshop.command_need(
            argv,
            cwd,
            justification=arguments.justification,
            escalated=arguments.sandbox_permissions == "require_escalated",
        )
        item = command_item(job, argv, cwd, "agent")
        request = spawn_request(job, argv, cwd)
        seconds = min(milliseconds, TIMEOUT_MAX_MS) / 1000

        async def run() -> Result:
            return await _run(job, item, workshop.confined(request), seconds)

        async def run_unconfined(preface: str) -> Result:
            return await _run(job, item, msgspec.structs.replace(request, confinement=None), seconds, preface)

        # It is over when its answer is there, so others may run beside it as beside exec_command.
        return Prepared(
            item=item,
            run=run,
            run_unconfined=run_unconfined,
            parallel_safe=True,
            side_effects=need.risk != "known_safe",
            approval=need,
        )


def _as_patch(argv: tuple[str, ...], cwd: str) -> tuple[str, str] | None:
    """The patch in a command that only applies one, and its folder: it is applied by the tool, not by a program.

    Raises ToolError for a patch that stands where a command should.
    """
    if len(argv) == 2 and posixpath.basename(argv[0]) in PATCH_COMMANDS:
        return argv[1], cwd
    script = shell_script(argv)
    if is_raw_patch(argv[0] if script is None else script):
        raise ToolError("this is a patch, not a command; call the apply_patch tool with it as the input")
    found = None if script is None else parse_heredoc_invocation(script)
    if found is None:
        return None
    return found.patch, cwd if found.workdir is None else posixpath.normpath(posixpath.join(cwd, found.workdir))


async def _run(job: Job, item: CommandExecution, request: SpawnRequest, seconds: float, preface: str = "") -> Result:
    match await run_to_end(job, item, request, seconds, preface=preface):
        case Ran() as ran:
            outcome: Literal["done", "failed"] = "failed" if ran.timed_out else "done"
            denied = None if ran.timed_out else ran.terminal.denied
            return Result(output=_answer(job, ran, seconds), outcome=outcome, item=ran.item, denied=denied)
        case NotStarted() as not_started:
            text = f"the command was not started: {not_started.reason}"
            return Result(output=text, outcome=not_started.outcome, item=not_started.item)


def _answer(job: Job, ran: Ran, seconds: float) -> str:
    output = ran.terminal.fresh.output()  # nobody has looked at it before: all of it is new
    shown = truncate_output(output, call_policy(job.truncation, None))
    lines = [f"Exit code: {ran.item.exit_code}", f"Wall time: {(ran.item.duration_ms or 0) / 1000:.1f} seconds"]
    if shown is not output.text and output.marker is None:
        lines.append(f"Total output lines: {len(output.text.splitlines())}")
        shown = shown.partition("\n\n")[2]  # the warning above it would say the same again
    lines.append("Output:")
    if ran.timed_out:
        lines.append(f"command timed out after {round(seconds * 1000)} milliseconds")
    return "\n".join([*lines, shown])
