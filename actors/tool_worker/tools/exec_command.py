"""exec_command: run a command; come back when it ends or when the wait is over, whichever is first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
import trio

from actors.ports import Ports
from actors.ports.processes import LauncherLostError, SpawnError, SpawnRequest, TerminalSize
from actors.tool_worker.approval import rejected_command_output
from actors.tool_worker.command_display import command_actions, display_command
from actors.tool_worker.patch.invocation import is_raw_patch, parse_heredoc_invocation
from actors.tool_worker.terminals import Terminal, Terminals
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError
from actors.tool_worker.tools.apply_patch import prepare_patch
from actors.tool_worker.truncation import TruncationPolicy, approximate_tokens, call_policy, truncate_output
from messages.client.item import CommandExecution

YIELD_DEFAULT_MS, YIELD_MIN_MS, YIELD_MAX_MS = 10_000, 250, 30_000
"""How long a call waits for its command: models know these numbers."""

ANYBODY_EXECUTES = 0o111
"""Who exactly may is the kernel's to say; a file that nobody may execute is no shell."""

RAW_PATCH = (
    "apply_patch verification failed: this is a patch, not a command; call the apply_patch tool with it as the input"
)


class ExecCommandArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cmd: Annotated[str, msgspec.Meta(description="The shell command.")]
    workdir: Annotated[str | None, msgspec.Meta(description="Where to run it; default: the working directory.")] = None
    shell: Annotated[str | None, msgspec.Meta(description="Path of another shell.")] = None
    login: Annotated[
        bool | None, msgspec.Meta(description="Whether it runs as a login shell would; default: yes where allowed.")
    ] = None
    tty: Annotated[bool, msgspec.Meta(description="Give it a terminal and keep its input open.")] = False
    yield_time_ms: Annotated[
        float,
        msgspec.Meta(description="How long to wait for its end, 250 to 30000; then it goes on in the background."),
    ] = YIELD_DEFAULT_MS
    max_output_tokens: Annotated[float | None, msgspec.Meta(description="Cut the output to this.")] = None
    sandbox_permissions: Annotated[
        Literal["use_default", "require_escalated"],
        msgspec.Meta(description="require_escalated: outside the sandbox, which the user is asked about."),
    ] = "use_default"
    justification: Annotated[
        str | None, msgspec.Meta(description="With require_escalated: one sentence for the user on why.")
    ] = None
    prefix_rule: Annotated[
        tuple[str, ...] | None,
        msgspec.Meta(description="First words of this command that the user may allow for good, e.g. git fetch."),
    ] = None


class ExecCommand(FunctionTool[ExecCommandArguments]):
    """Semantics: reference/core CORE §1.2 (unified exec)."""

    name = "exec_command"
    description = (
        "Run a shell command. Returns its output, and either its exit code or a session id under which write_stdin "
        "reaches the command while it goes on."
    )

    needs = ("commands",)

    def __init__(self) -> None:
        super().__init__(ExecCommandArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        workshop = job.workshop
        cwd = workshop.resolve(arguments.workdir)
        if is_raw_patch(arguments.cmd):
            raise ToolError(RAW_PATCH)
        patch = parse_heredoc_invocation(arguments.cmd)
        if patch is not None:
            folder = workshop.resolve(cwd if patch.workdir is None else f"{cwd}/{patch.workdir}")
            return _as_command(await prepare_patch(job, patch.patch, folder), workshop.ports)
        login = workshop.login.allowed if arguments.login is None else arguments.login
        if login and not workshop.login.allowed:
            raise ToolError("login shells are switched off here (allow_login_shell = false); leave `login` out")
        shell = await _shell_to_use(job, arguments.shell)
        argv = (shell, "-lc" if login else "-c", arguments.cmd)
        need = await workshop.command_need(
            argv,
            cwd,
            justification=arguments.justification,
            escalated=arguments.sandbox_permissions == "require_escalated",
            suggested_prefix=arguments.prefix_rule,
        )
        id_ = workshop.terminals.reserve_id()
        item = CommandExecution(
            id=job.call.item_id,
            command=display_command(argv),
            cwd=cwd,
            status="inProgress",
            command_actions=command_actions(argv, cwd),
            process_id=str(id_),
            source="unifiedExecStartup",
        )
        request = SpawnRequest(
            argv=argv,
            cwd=cwd,
            environment=workshop.environment(job.call, terminal=arguments.tty),
            terminal=TerminalSize() if arguments.tty else None,
            # Full access includes sudo, which a user namespace would take away.
            needs_setuid=workshop.settings.sandbox_mode == "danger-full-access",
            confinement=workshop.confinement(),
        )

        async def run() -> Result:
            confined = workshop.confined(request)
            return await _run(job, arguments, id_, item, await workshop.logged_in(confined))

        async def run_unconfined(preface: str) -> Result:
            free = msgspec.structs.replace(request, confinement=None)
            return await _run(job, arguments, id_, item, await workshop.logged_in(free), preface)

        return Prepared(
            item=item,
            run=run,
            run_unconfined=run_unconfined,
            parallel_safe=True,
            side_effects=need.risk != "known_safe",
            approval=need,
        )


async def _shell_to_use(job: Job, asked: str | None) -> str:
    """The shell that was asked for, or the thread's own where that is no program: what is to be run is the command, and
    models guess paths."""
    workshop = job.workshop
    if not asked:
        return workshop.shell
    ports = workshop.ports
    path = workshop.environment(job.call).get("PATH", "")
    places = (asked,) if "/" in asked else tuple(f"{folder}/{asked}" for folder in path.split(":") if folder)

    def usable() -> bool:
        for place in places:
            try:
                found = ports.files.stat(workshop.resolve(place))
            except OSError:
                continue
            if found is not None and found.kind == "file" and found.mode & ANYBODY_EXECUTES:
                return True
        return False

    return asked if await ports.threads.run(usable) else workshop.shell


async def _run(
    job: Job,
    arguments: ExecCommandArguments,
    id_: int,
    item: CommandExecution,
    request: SpawnRequest,
    preface: str = "",
) -> Result:
    workshop = job.workshop
    began = workshop.ports.clock.monotonic()
    try:
        terminal = await workshop.terminals.start(id_, job.call, item, request, job.output, preface=preface)
    except LauncherLostError as error:
        return _not_started(item, f"{error}; the command may or may not have begun", "unknown")
    except SpawnError as error:
        return _not_started(item, str(error), "failed")
    seconds = min(max(arguments.yield_time_ms, YIELD_MIN_MS), YIELD_MAX_MS) / 1000
    try:
        with trio.move_on_after(seconds):
            await terminal.ended.wait()
    except BaseException:  # above all trio.Cancelled: a call that is not answered leaves nothing behind
        await workshop.terminals.stop(terminal)
        workshop.terminals.forget(terminal)
        raise
    return answer(
        workshop.terminals,
        terminal,
        ports=workshop.ports,
        policy=job.truncation,
        max_output_tokens=arguments.max_output_tokens,
        began=began,
        own=True,
    )


def answer(
    terminals: Terminals,
    terminal: Terminal,
    *,
    ports: Ports,
    policy: TruncationPolicy,
    max_output_tokens: float | None,
    began: float,
    own: bool,
) -> Result:
    """What the model is told of a command now. ``own``: to the call that started it, which still owns its item."""
    output = terminal.fresh.take()
    total = output.total_bytes
    ended = terminal.ended.is_set() and terminal.status is not None
    lines = [
        f"Chunk ID: {ports.entropy.random.getrandbits(24):06x}",
        f"Wall time: {ports.clock.monotonic() - began:.4f} seconds",
        f"Process exited with code {terminal.status.code}"
        if ended and terminal.status is not None
        else f"Process running with session ID {terminal.id}",
        f"Original token count: {approximate_tokens(total)}",
        "Output:",
        truncate_output(output, call_policy(policy, None if max_output_tokens is None else int(max_output_tokens))),
    ]
    text = "\n".join(lines)
    if not ended:
        terminals.name(terminal)
        terminals.touch(terminal)
        return Result(output=text, terminal=terminal.id if own else None)
    terminals.forget(terminal)
    return Result(output=text, item=terminal.finished_item() if own else None, denied=terminal.denied if own else None)


def _not_started(item: CommandExecution, reason: str, outcome: Literal["failed", "unknown"]) -> Result:
    return Result(
        output=rejected_command_output(f"Failed to create unified exec process: {reason}"),
        outcome=outcome,
        item=msgspec.structs.replace(item, status="failed", aggregated_output=reason, duration_ms=0),
    )


def _as_command(prepared: Prepared, ports: Ports) -> Prepared:
    """A patch that came as a command: the answer has a command's form."""
    run_patch: Callable[[], Awaitable[Result]] = prepared.run

    async def run() -> Result:
        began = ports.clock.monotonic()
        result = await run_patch()
        head = f"Wall time: {ports.clock.monotonic() - began:.4f} seconds\nOutput:\n"
        return Result(
            output=f"{head}{result.output}", outcome=result.outcome, item=result.item, revisions=result.revisions
        )

    return Prepared(
        item=prepared.item,
        run=run,
        parallel_safe=prepared.parallel_safe,
        side_effects=prepared.side_effects,
        approval=prepared.approval,
    )
