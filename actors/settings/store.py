"""The files behind the settings: read, looked at for changes, written. Blocking; never raises but OSError."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from actors.ports import Files
from actors.ports.files import OWNER_ONLY
from actors.settings.core import Contents, Edited, Sources, State, edit, take
from actors.settings.layers import CONFIG_FILE
from actors.settings.projects import PROJECT_FOLDER, Project, ProjectFile
from messages.settings import SettingsRefused, WriteSettings

LOCK_FILE = "config.lock"
"""Held for a write, by the daemon and by ``callboard config``: of two edits at once neither is lost."""

FILE_BYTES_MAX = 1024 * 1024
"""Of one file that is read: far more than anybody writes by hand, and little to parse."""

LEVELS_MAX = 64
"""Folders walked up in search of the top of a project."""

Signature = tuple[tuple[str, float, int] | None, ...]
"""Of each file when it was last modified and how long it is; differs after any change that an editor makes."""


class BusyError(Exception):
    """Another process is writing right now; try again in a moment."""


def read_contents(files: Files, sources: Sources) -> Contents:
    """All files of the daemon's own layers."""
    return {path: _read(files, path) for path in sources.watched}


def signature(files: Files, paths: Iterable[str]) -> Signature:
    """To be compared with that of a moment ago."""
    stats = [(path, files.stat(path)) for path in paths]
    return tuple(None if stat is None else (path, stat.modified_at, stat.size) for path, stat in stats)


def read_project(files: Files, cwd: str, home: str, markers: Iterable[str]) -> Project:
    """What a folder's project brings along. The top of the project is the nearest folder upwards that holds a marker;
    without any it is the folder itself. Folders that cannot be looked into hold nothing."""
    lowest = files.resolve(cwd)
    folders = _up_to_the_top(files, lowest, tuple(markers))
    found: list[ProjectFile] = []
    for folder in folders:
        config = posixpath.join(folder, PROJECT_FOLDER, CONFIG_FILE)
        if posixpath.dirname(config) == home:
            continue  # that is the user's own file
        try:
            content = _read(files, config)
        except OSError:
            continue
        if content is not None:
            found.append(ProjectFile(path=config, content=content))
    return Project(cwd=posixpath.normpath(cwd), folders=folders, files=tuple(found))


def write(files: Files, state: State, request: WriteSettings) -> Edited | SettingsRefused:
    """Make edits in a file as it is now, under the lock. Raises BusyError, OSError."""
    lock = files.lock(posixpath.join(state.sources.home, LOCK_FILE))
    if lock is None:
        raise BusyError
    try:
        edited = edit(take(state, read_contents(files, state.sources)), request)
        if isinstance(edited, Edited):
            path = files.resolve(edited.file)  # a link into somebody's dotfiles stays one
            stat = files.stat(path)
            files.write_atomic(path, edited.text.encode(), mode=OWNER_ONLY if stat is None else stat.mode)
        return edited
    finally:
        lock.close()


def _up_to_the_top(files: Files, lowest: str, markers: tuple[str, ...]) -> tuple[str, ...]:
    folder, walked = lowest, [lowest]
    for _ in range(LEVELS_MAX):
        if any(_is_there(files, posixpath.join(folder, marker)) for marker in markers):
            return tuple(reversed(walked))
        above = posixpath.dirname(folder)
        if above == folder:
            break
        folder = above
        walked.append(folder)
    return (lowest,)


def _is_there(files: Files, path: str) -> bool:
    try:
        return files.stat(path, follow=False) is not None
    except OSError:
        return False


def _read(files: Files, path: str) -> bytes | None:
    if files.stat(path) is None:
        return None
    return files.read(path, limit=FILE_BYTES_MAX)
