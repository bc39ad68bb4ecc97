"""Commands of people: command/exec, beside any thread, buffered or streamed; thread/shellCommand, in one."""

from __future__ import annotations

from typing import Literal

from messages.client.item import Wire
from messages.client.sandbox import SandboxPolicy


class TerminalSizeBody(Wire, frozen=True, kw_only=True):
    rows: int
    cols: int


class CommandExecParams(Wire, frozen=True, kw_only=True):
    """``process_id`` is the client's own name for it, needed to stream, write, resize or terminate."""

    command: tuple[str, ...]
    process_id: str | None = None
    cwd: str | None = None
    env: dict[str, str | None] | None = None
    """Over the daemon's own environment; null takes a variable away."""
    timeout_ms: int | None = None
    disable_timeout: bool | None = None
    output_bytes_cap: int | None = None
    disable_output_cap: bool | None = None
    tty: bool | None = None
    size: TerminalSizeBody | None = None
    stream_stdin: bool | None = None
    stream_stdout_stderr: bool | None = None
    sandbox_policy: SandboxPolicy | None = None
    permission_profile: str | None = None


class CommandExecResponse(Wire, frozen=True, kw_only=True):
    exit_code: int
    stdout: str
    stderr: str


class OutputDelta(Wire, frozen=True, kw_only=True):
    """command/exec/outputDelta"""

    process_id: str
    stream: Literal["stdout", "stderr"]
    delta_base64: str
    cap_reached: bool


class CommandWriteParams(Wire, frozen=True, kw_only=True):
    process_id: str
    delta_base64: str | None = None
    close_stdin: bool | None = None


class CommandTerminateParams(Wire, frozen=True, kw_only=True):
    process_id: str


class CommandResizeParams(Wire, frozen=True, kw_only=True):
    process_id: str
    size: TerminalSizeBody


class ShellCommandParams(Wire, frozen=True, kw_only=True):
    """A command line for the thread's shell."""

    thread_id: str
    command: str
    timeout_ms: int | None = None
