"""The files below a folder that git does not ignore, and their folders, as they are found.

ripgrep lists them: it knows every rule of git's ignore files (those of parents, `.git/info/exclude`, the user's own,
and `.ignore` and `.rgignore` besides), also where there is no repository, and walks on all cores outside the daemon.

Rejected: walking folders ourselves with pathspec: a thousand folders a second where ripgrep does a hundred thousand,
all of it under the interpreter's lock, and the order and precedence of ignore files to be built anew.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from actors.ports.processes import Confinement, Processes, SpawnRequest
from actors.tool_worker.file_search.ranking import Candidate

RIPGREP = posixpath.join(posixpath.dirname(sys.executable), "rg")
"""The one our own environment brings along, so that every machine has the same."""

FILES_MAX = 400_000
"""Of one search: some 80 MB. The largest known repositories have about so many."""

LIST_FILES = (
    RIPGREP,
    "--no-config",
    "--no-messages",
    "--no-require-git",
    "--files",
    "--hidden",
    "--null",
    "--glob",
    "!.git",
)

NAME_BYTES_MAX = 64 * 1024
"""Between two separators: sixteen times the longest path there can be. What is longer is no list of names."""


async def candidates(
    processes: Processes, root: str, environment: Mapping[str, str], confinement: Confinement | None = None
) -> AsyncGenerator[tuple[Candidate, ...], None]:
    """Batches of what is below ``root``, each file and folder once. ``confinement``: of the program that looks. Raises
    SpawnError.

    Close the iterator (`aclosing`) when it is not read to its end: only then the listing is over.
    """
    request = SpawnRequest(
        argv=LIST_FILES, cwd=root, environment=dict(environment), stderr="separate", confinement=confinement
    )
    process = await processes.spawn(request)
    try:
        folders: set[str] = set()
        rest = b""
        while data := await process.read_output():
            *names, rest = (rest + data).split(b"\0")
            rest = rest[:NAME_BYTES_MAX]
            yield tuple(_below(root, names, folders))
    finally:
        await process.aclose()


async def all_candidates(
    processes: Processes, root: str, environment: Mapping[str, str], confinement: Confinement | None = None
) -> list[Candidate]:
    """Everything below ``root``, up to `FILES_MAX`. Raises SpawnError."""
    found: list[Candidate] = []
    async with aclosing(candidates(processes, root, environment, confinement)) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= FILES_MAX:
                break
    return found


def _below(root: str, names: list[bytes], folders: set[str]) -> list[Candidate]:
    found: list[Candidate] = []
    for name in names:
        path = name.decode("utf-8", "replace").removeprefix("./")
        folder = posixpath.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            found.append(Candidate(root, folder, "directory"))
            folder = posixpath.dirname(folder)
        found.append(Candidate(root, path, "file"))
    return found
