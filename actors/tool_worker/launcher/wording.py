"""A request as the init reads it, and the init's refusals as a person or a model reads them. Pure.

What the kernel could never accept (a NUL, an impossible name) is refused here, before anything is made for it.
"""

from __future__ import annotations

import contextlib
import errno
import os

from actors.ports.processes import SpawnError, SpawnRequest
from actors.tool_worker.launcher.outside import wire

MAX_SPECIFICATION_BYTES = 8 << 20
"""More than the 6 MB that Linux accepts at most for arguments and environment (three quarters of its 8 MB _STK_LIM)."""

MAX_SHOWN = 200
"""Characters of a program's name in an error: it may be a whole script put in the wrong place."""


def write_specification(request: SpawnRequest, *, steps: tuple[str, ...] = (), command: tuple[str, ...] = ()) -> bytes:
    """The request in the init's form. Raises SpawnError for what no exec could pass on.

    ``steps`` confine the init; ``command`` is put before the argv, whose program must exist all the same.
    """
    if not request.argv or not request.argv[0]:
        raise SpawnError("there is no program to start: argv is empty, or its first word is")
    program = shown(request.argv[0])
    argv = tuple(
        _encode(word, f"argument {index} of {program}" if index else "the program's name")
        for index, word in enumerate(request.argv)
    )
    environment = _environment(request.environment, program)
    cwd = _encode(request.cwd, "the working directory's name")
    specification = wire.encode_specification(
        (*map(os.fsencode, command), *argv),
        cwd,
        environment,
        terminal=request.terminal is not None,
        steps=tuple(_encode(step, "a path of the sandbox") for step in steps),
        program=argv[0] if command else b"",
    )
    if len(specification) > MAX_SPECIFICATION_BYTES:
        raise SpawnError(explain("program", errno.E2BIG, request))
    return specification


def _environment(variables: dict[str, str], program: str) -> tuple[bytes, ...]:
    """As NAME=VALUE. All at once when nothing is wrong with any; else one by one, to say with which."""
    entries = [f"{name}={value}" for name, value in variables.items()]
    if not any(not name or "=" in name for name in variables):
        with contextlib.suppress(UnicodeEncodeError):
            encoded = os.fsencode("\0".join(entries)).split(b"\0") if entries else []
            if len(encoded) == len(entries):
                return tuple(encoded)
    for name in variables:
        if not name or "=" in name:
            raise SpawnError(f"{name!r} cannot be the name of an environment variable of {program}")
    return tuple(
        _encode(entry, f"the environment variable {shown(name)} of {program}")
        for name, entry in zip(variables, entries, strict=True)
    )


def _encode(text: str, what: str) -> bytes:
    if "\0" in text:
        raise SpawnError(f"{what} contains a NUL character, which no program can be given")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as error:
        raise SpawnError(f"{what} is not encodable text: {error.reason} at character {error.start}") from None


def shown(text: str) -> str:
    """Quoted, and short enough for an error message."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")


def explain(stage: str, number: int, request: SpawnRequest) -> str:
    """One sentence that names the program or the directory, and the reason."""
    program, reason = shown(request.argv[0]), os.strerror(number)
    match stage, number:
        case "sandbox", _:
            return f"{program} was not started: its sandbox could not be made: {reason}"
        case "directory", errno.ENOENT:
            return f"the working directory {shown(request.cwd)} does not exist"
        case "directory", _:
            return f"cannot enter the working directory {shown(request.cwd)}: {reason}"
        case "interpreter", _:
            return f"cannot start {program}: the interpreter named in its first line, or its loader, does not exist"
        case "program", errno.ENOENT if "/" not in request.argv[0]:
            return f"the program {program} is in no folder of PATH ({shown(request.environment.get('PATH', 'unset'))})"
        case "program", errno.ENOENT:
            return f"the program {program} does not exist"
        case "program", errno.ENOEXEC:
            return f"cannot start {program}: neither a program for this machine nor a script with a #! line ({reason})"
        case "program", errno.E2BIG:
            return f"cannot start {program}: its arguments and environment are too long for this system ({reason})"
        case "program", _:
            return f"cannot start {program}: {reason}"
        case _:
            return f"cannot make a container for {program}: {reason} (limits of this system, or a lack of memory)"
