"""git as the snapshots use it: a bare repository of ours over the user's worktree.

Every command is told where everything is, and none of it is the user's: `GIT_DIR`, `GIT_INDEX_FILE` and the settings
are ours, the worktree is theirs. Attributes are switched off, because a snapshot must give back the very bytes:
no end-of-line conversion, no filters, no keyword expansion (gitattributes(5), `$GIT_DIR/info/attributes` wins).
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping

from actors.ports import Files, Ports
from actors.ports.processes import SpawnError
from actors.session.children import UndoError
from actors.session.git_info import Repository
from actors.tool_worker.programs import ProgramTimeoutError, Ran, run_program

GIT_SECONDS = 60.0
"""For one command: adding every file of a very large tree from a cold disk."""

INDEX = "worktree"
"""The index that goes from snapshot to snapshot."""

NO_CONVERSION = b"* -text -filter -ident -working-tree-encoding -eol\n"

CONFIG = b"""\
[core]
\trepositoryformatversion = 0
\tbare = true
\tautocrlf = false
\tsafecrlf = false
\tquotepath = false
\tfsmonitor = false
\tuntrackedCache = false
[gc]
\tauto = 0
[user]
\tname = callboard
\temail = callboard@localhost
"""

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""Of the daemon's environment; nothing that begins with GIT_."""


class SnapshotError(UndoError):
    """No snapshot, or no undo; the text says why and, where there is something to do, what."""


class ShadowRepository:
    """Ours, for one worktree of the user's.

    It keeps an index of its own from one snapshot to the next, so that only what has changed since is read. It does not
    start from the user's: that one believes a converted file (end of line, filter) to be what it was converted to.
    """

    def __init__(self, ports: Ports, theirs: Repository, *, home: str, environment: Mapping[str, str]) -> None:
        self._ports = ports
        self.root = theirs.root
        self._theirs = theirs
        name = hashlib.sha256(self.root.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self.path = posixpath.join(home, "snapshots", f"{name}.git")
        self._environment = {name: environment[name] for name in PASSED_ON if name in environment}

    async def prepare(self) -> None:
        """Make it if it is not there. Raises SnapshotError."""
        try:
            await self._ports.threads.run(lambda: self._prepare(self._ports.files))
        except OSError as error:
            raise SnapshotError(f"{self.path} cannot be prepared: {error.strerror}") from error

    def _prepare(self, files: Files) -> None:
        if files.stat(posixpath.join(self.path, "HEAD")) is None:
            for folder in ("objects/info", "objects/pack", "refs", "info"):
                files.make_dirs(posixpath.join(self.path, folder), mode=0o700)
            files.write_atomic(posixpath.join(self.path, "config"), CONFIG)
            files.write_atomic(posixpath.join(self.path, "info/attributes"), NO_CONVERSION)
            files.write_atomic(posixpath.join(self.path, "worktree"), self.root.encode("utf-8", "surrogateescape"))
            files.write_atomic(posixpath.join(self.path, "HEAD"), b"ref: refs/heads/none\n")
        theirs = posixpath.join(self._theirs.common_dir, "objects")
        files.write_atomic(
            posixpath.join(self.path, "objects/info/alternates"), theirs.encode("utf-8", "surrogateescape") + b"\n"
        )
        exclude = posixpath.join(self._theirs.common_dir, "info/exclude")
        if files.stat(exclude) is not None:
            files.write_atomic(posixpath.join(self.path, "info/exclude"), files.read(exclude))

    def index(self, name: str) -> str:
        """The path of an index of ours."""
        return posixpath.join(self.path, f"index-{name}")

    async def git(self, *arguments: str, index: str = INDEX, stdin: bytes = b"", accept: tuple[int, ...] = (0,)) -> Ran:
        """Run one command in the worktree. Raises SnapshotError unless it ends with one of ``accept``."""
        return await self._run(("git", "--literal-pathspecs", *arguments), index, stdin, accept)

    async def script(self, text: str, *, index: str = INDEX, stdin: bytes = b"") -> bytes:
        """Run several as one shell script, which costs one process to contain; what it wrote. Raises SnapshotError."""
        return (await self._run(("/bin/sh", "-ec", text), index, stdin, (0,))).output

    async def tracked(self) -> frozenset[bytes]:
        """The files that the user tracks, from the root. Reads their index. Raises SnapshotError."""
        argv = ("git", "-c", "core.fsmonitor=false", "ls-files", "-z")
        theirs = {"GIT_DIR": self._theirs.git_dir, "GIT_INDEX_FILE": posixpath.join(self._theirs.git_dir, "index")}
        listed = await self._run(argv, INDEX, b"", (0,), theirs)
        return frozenset(listed.output.split(b"\0"))

    async def _run(
        self,
        argv: tuple[str, ...],
        index: str,
        stdin: bytes,
        accept: tuple[int, ...],
        elsewhere: Mapping[str, str] | None = None,
    ) -> Ran:
        environment = {
            **self._environment,
            "GIT_DIR": self.path,
            "GIT_WORK_TREE": self.root,
            "GIT_INDEX_FILE": self.index(index),
            **(elsewhere or {}),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }
        try:
            ran = await run_program(
                self._ports.processes, argv, cwd=self.root, environment=environment, seconds=GIT_SECONDS, stdin=stdin
            )
        except (SpawnError, ProgramTimeoutError) as error:
            raise SnapshotError(str(error)) from error
        if ran.code not in accept:
            said = ran.complaint.decode("utf-8", "replace").strip().splitlines()
            raise SnapshotError(f"git: {said[-1] if said else f'exit code {ran.code}'}")
        return ran
