"""What a login shell would have made of its environment, made once and given to every command.

A user's profile can take a second (version managers, completions), and `bash -lc` reads it for each command. Instead a
login shell is run once and asked what it ended with: variables, functions, aliases, options. Commands then run as
`bash -c` with `BASH_ENV` naming a file that sets the same (bash(1), INVOCATION); its last line takes the name away, so
that scripts which the command starts see nothing of it. What a call sets itself (NO_COLOR, TERM, ids) stays, because
only what the profile *changed* is in the file.

For bash only: zsh and sh read no such file without being told in ways that a command can see. Where the profile fails,
takes too long, or its result does not load cleanly, commands go on being login shells.

Rejected: one snapshot per thread (the profile is the user's, not the thread's), and wrapping the command in
`. FILE; eval …` (line numbers in errors and `$0` would be another's).
"""

from __future__ import annotations

import hashlib
import posixpath
import shlex
from collections.abc import Mapping

import trio

from actors.ports import Ports
from actors.ports.processes import SpawnError
from actors.tool_worker.programs import ProgramTimeoutError, run_program

LOGIN_SECONDS = 10.0
"""For the user's profile (CORE §2.1); one that takes longer is not waited for."""

FRESH_SECONDS = 300.0
"""A profile that was edited holds for commands after this long at most."""

SNAPSHOT_BYTES_MAX = 4 * 1024 * 1024
"""Of what the shell says of itself: completions of many tools are a few hundred kilobytes."""

ENVIRONMENT_MARK = b"\0callboard-environment\0"

DUMP = """\
declare -f
alias -p
shopt -p | grep -v -e login_shell -e restricted_shell
set +o
printf '\\0callboard-environment\\0'
env -0
"""

NOT_OF_THE_PROFILE = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "BASH_ENV"})
"""Variables that each shell has its own of."""


class ShellSnapshots:
    """For all threads of a daemon. ``home`` is the daemon's."""

    def __init__(self, ports: Ports, *, home: str) -> None:
        self._ports = ports
        self._home = home
        self._made: dict[str, _Made] = {}
        self._locks: dict[str, trio.Lock] = {}

    async def path(self, shell: str, environment: Mapping[str, str]) -> str | None:
        """The file for commands of this shell in this environment; None: they have to be login shells."""
        if posixpath.basename(shell) != "bash" or "BASH_ENV" in environment:
            return None
        key = hashlib.sha256(repr((shell, sorted(environment.items()))).encode()).hexdigest()[:16]
        async with self._locks.setdefault(key, trio.Lock()):
            made = self._made.get(key)
            now = self._ports.clock.monotonic()
            if made is None or now - made.at > FRESH_SECONDS:
                made = self._made[key] = _Made(await self._make(key, shell, environment), now)
        return made.path

    async def _make(self, key: str, shell: str, environment: Mapping[str, str]) -> str | None:
        cwd = environment.get("HOME", "/")
        try:
            dumped = await run_program(
                self._ports.processes,
                (shell, "-lc", DUMP),
                cwd=cwd,
                environment=environment,
                seconds=LOGIN_SECONDS,
                limit=SNAPSHOT_BYTES_MAX,
            )
            content = snapshot(dumped.output, environment) if dumped.code == 0 else None
            if content is None:
                return None
            path = posixpath.join(self._home, "shell-snapshots", f"{key}.sh")
            await self._ports.threads.run(self._write, path, content)
            tried = await run_program(
                self._ports.processes,
                (shell, "-c", "true"),
                cwd=cwd,
                environment={**environment, "BASH_ENV": path},
                seconds=LOGIN_SECONDS,
            )
        except (SpawnError, ProgramTimeoutError, OSError):
            return None
        return path if tried.code == 0 and not tried.complaint and not tried.output else None

    def _write(self, path: str, content: bytes) -> None:
        self._ports.files.make_dirs(posixpath.dirname(path), mode=0o700)
        self._ports.files.write_atomic(path, content)


class _Made:
    __slots__ = ("at", "path")

    def __init__(self, path: str | None, at: float) -> None:
        self.path = path
        self.at = at


def snapshot(dumped: bytes, environment: Mapping[str, str]) -> bytes | None:
    """The file that brings a shell to where the profile brought the one that said this; None if it said too little."""
    state, mark, variables = dumped.rpartition(ENVIRONMENT_MARK)
    if not mark or not variables.endswith(b"\0"):
        return None
    after = dict(
        pair.decode("utf-8", "surrogateescape").split("=", 1) for pair in variables.split(b"\0") if b"=" in pair
    )
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(after.items())
        if name.isidentifier() and name not in NOT_OF_THE_PROFILE and environment.get(name) != value
    ]
    gone = sorted(set(environment) - set(after) - NOT_OF_THE_PROFILE)
    lines += [f"unset {name}" for name in gone if name.isidentifier()]
    # First of all: a function or an option that breaks must not leave it to the command's own children.
    head = b"unset BASH_ENV\n"
    return head + "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n" + state.replace(b"\0", b"")
