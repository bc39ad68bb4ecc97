"""``callboard config``: look at the settings, change them, check them.

Works on the files, whether a daemon runs or not; one that runs takes a change within a second or two. Reading and
writing are the daemon's own (`actors.settings.store`), so both see the same layers and neither loses what the other
writes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from actors.console import home as homes
from actors.model_stream.providers import choose
from actors.ports.production.files import SystemFiles
from actors.settings import borrowing, reference, secrets, store
from actors.settings.checking import dotted, field_type
from actors.settings.core import Edited, Sources, State, begin, needs_project, resolve
from actors.settings.key_paths import KeyPathError, split_key_path
from actors.settings.layers import SettingsError, file_layer, fitting, leaves, override_layer
from actors.settings.places import Place, key_places
from messages.settings import (
    NEEDS_RESTART,
    Problem,
    SettingsEdit,
    SettingsRefused,
    SettingsSnapshot,
    WriteSettings,
)

OK, FAILED = 0, 1

BUSY_SECONDS, BUSY_TRIES = 0.02, 100
"""While the daemon writes, which takes milliseconds."""

WIDE = 40
"""Characters to which values are filled up, so that their origins stand below each other; longer ones stand out."""

CODEX_HOME = "CODEX_HOME"


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    return telling(_VERBS[options.action], options)


def telling(act: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """The exit code of a verb that works on the settings' files; what stops it is told."""
    try:
        return act(options)
    except BrokenPipeError:
        raise
    except (SettingsError, KeyPathError) as error:
        words = str(error)
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"callboard {options.verb}: {words}", file=sys.stderr)
    return FAILED


def _sources(options: argparse.Namespace) -> Sources:
    return Sources(
        home=str(homes.home()),
        environment=dict(os.environ),
        overrides=tuple(override_layer(each) for each in options.config or ()),
        profile=options.profile,
        strict=getattr(options, "strict", False),
    )


def _state(options: argparse.Namespace) -> State:
    sources = _sources(options)
    return begin(sources, store.read_contents(SystemFiles(), sources))


def _snapshot(options: argparse.Namespace, state: State) -> SettingsSnapshot:
    """What a thread in the folder has."""
    project = None
    if needs_project(state):
        markers = state.current.settings.project_root_markers
        project = store.read_project(SystemFiles(), os.path.abspath(options.cd), state.sources.home, markers)
    found = resolve(state, project, {})
    if isinstance(found, SettingsRefused):
        raise SettingsError(Problem(where=options.cd, text=found.message))
    return found


# --- looking --------------------------------------------------------------------------------------------------------


def settings(options: argparse.Namespace) -> SettingsSnapshot:
    """What is in force for a thread in the folder. Raises SettingsError, OSError."""
    return _snapshot(options, _state(options))


def _get(options: argparse.Namespace) -> int:
    snapshot = settings(options)
    path = split_key_path(options.key)
    value: Any = {**snapshot.others, **msgspec.to_builtins(snapshot.settings)}
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            print(f"callboard config: there is no setting {options.key}", file=sys.stderr)
            return FAILED
        value = value[key]
    told = value if options.show_secrets else secrets.shown(path, value)
    print(told if isinstance(told, str) else msgspec.json.encode(told).decode())
    if told != value:
        print("what may be a secret is left out; --show-secrets shows it", file=sys.stderr)
    if options.origins:
        origin = snapshot.origins.get(dotted(path))
        where = "the default" if origin is None else _place(snapshot, origin.where, path)
        print(f"  from {where}", file=sys.stderr)
    return OK


def _list(options: argparse.Namespace) -> int:
    snapshot = settings(options)
    values: dict[str, Any] = {**snapshot.others, **msgspec.to_builtins(snapshot.settings)}
    rows = [
        (path, _at(values, path))
        for path in leaves(values)
        if options.all or dotted(path) in snapshot.origins or path[0] in snapshot.others
    ]
    shown = [(path, secrets.shown(path, value)) for path, value in rows]
    if options.json:
        told = {
            dotted(path): {
                "value": value,
                "from": origin.where if (origin := snapshot.origins.get(dotted(path))) else None,
            }
            for path, value in shown
        }
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
        return OK
    lines = [(dotted(path), msgspec.json.encode(value).decode()) for path, value in shown]
    widths = [max((len(line[column]) for line in lines), default=0) for column in (0, 1)]
    for (path, _), (key, value) in zip(shown, lines, strict=True):
        origin = snapshot.origins.get(dotted(path))
        where = "default" if origin is None else _place(snapshot, origin.where, path)
        words = (key.ljust(widths[0]), value.ljust(min(widths[1], WIDE)), where if options.origins else "")
        print("  ".join(words).rstrip())
    for layer in snapshot.layers:
        if layer.disabled is not None:
            print(f"{layer.where} does not count: {layer.disabled}", file=sys.stderr)
    return OK


def _unknown(options: argparse.Namespace, error: SettingsError) -> tuple[Problem, ...]:
    """Names that nobody knows, where other things are wrong already: a file is corrected once."""
    options.strict = True
    try:
        settings(options)
    except SettingsError as strictly:
        return tuple(problem for problem in strictly.problems if problem not in error.problems)
    return ()


def _place(snapshot: SettingsSnapshot, where: str, path: tuple[str, ...]) -> str:
    """With the line, where there is one."""
    layer = next((each for each in snapshot.layers if each.where == where), None)
    if layer is None or not os.path.isabs(where):
        return where
    place = _places(where).get(path)
    return where if place is None else f"{where}:{place.line}"


@cache
def _places(file: str) -> Mapping[tuple[str | int, ...], Place]:
    """Read once: every row of a list asks."""
    return key_places(Path(file).read_text())


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _check(options: argparse.Namespace) -> int:
    try:
        snapshot = settings(options)
    except SettingsError as error:
        raise SettingsError(*error.problems, *_unknown(options, error)) from error
    try:
        choice = choose(snapshot.settings, os.environ, homes.logins(homes.home()))
    except ValueError as error:
        raise SettingsError(Problem(where="settings", text=str(error))) from error
    for warning in snapshot.warnings:
        print(f"warning: {warning}")
    files = [layer.where for layer in snapshot.layers if os.path.isabs(layer.where)]
    print(f"the settings are valid ({', '.join(files) or 'no file; the defaults are in force'})")
    print(f"new threads use {choice.provider}, model {choice.model} ({choice.why})")
    return OK


# --- changing -------------------------------------------------------------------------------------------------------


def _set(options: argparse.Namespace) -> int:
    path = split_key_path(options.key)
    edit = SettingsEdit(key_path=dotted(path), value=fitting(options.value, field_type(path)))
    return write(options, (edit,))


def _unset(options: argparse.Namespace) -> int:
    return write(options, (SettingsEdit(key_path=dotted(split_key_path(options.key)), value=None),))


def write(options: argparse.Namespace, edits: tuple[SettingsEdit, ...]) -> int:
    """Into the user's file, or the profile's; says where, and the exit code. Raises SettingsError, OSError."""
    sources = _sources(options)
    state = _writable_state(sources)
    file = sources.user_file if options.profile is None else sources.profile_file(options.profile)
    os.makedirs(sources.home, mode=0o700, exist_ok=True)
    edited = _patiently(lambda: store.write(SystemFiles(), state, WriteSettings(edits=edits, file=file)))
    if isinstance(edited, SettingsRefused):
        print(f"callboard config: {edited.message}", file=sys.stderr)
        return FAILED
    print(f"written to {edited.file}")
    for key in edited.overridden:
        origin = edited.state.current.origins[key]
        print(f"but {key} stays as {origin.where} sets it", file=sys.stderr)
    _say_when({dotted(split_key_path(edit.key_path)) for edit in edits})
    return OK


def _writable_state(sources: Sources) -> State:
    """To write into: a profile that is not there yet is made by its first setting."""
    contents = store.read_contents(SystemFiles(), sources)
    if sources.profile is not None and contents[sources.profile_file(sources.profile)] is None:
        profile = sources.profile_file(sources.profile)
        os.makedirs(sources.home, mode=0o700, exist_ok=True)
        SystemFiles().write_atomic(profile, b"")
        contents[profile] = b""
    return begin(sources, contents)


def _patiently(write: Callable[[], Edited | SettingsRefused]) -> Edited | SettingsRefused:
    for _ in range(BUSY_TRIES):
        try:
            return write()
        except store.BusyError:
            time.sleep(BUSY_SECONDS)
    return SettingsRefused(reason="storage", message="another process does not stop writing the settings")


def _say_when(keys: set[str]) -> None:
    if homes.running(homes.home()) is None:
        return
    late = {each for each in NEEDS_RESTART if any(_same_or_below(each, key) for key in keys)}
    if late:
        print(f"the daemon that runs takes {', '.join(sorted(late))} at its next start")
    if keys - NEEDS_RESTART:
        print("the daemon that runs takes it within moments, for threads and turns that begin then")


def _same_or_below(key: str, table: str) -> bool:
    return f"{key}.".startswith(f"{table}.")


def _edit(options: argparse.Namespace) -> int:
    sources = _sources(options)
    file = sources.user_file if options.profile is None else sources.profile_file(options.profile)
    os.makedirs(sources.home, mode=0o700, exist_ok=True)
    if not os.path.exists(file):
        SystemFiles().write_atomic(file, b"")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    while True:
        code = subprocess.run([*shlex.split(editor), file], check=False).returncode
        if code != 0:
            print(f"callboard config: {editor} ended with {code}", file=sys.stderr)
            return FAILED
        try:
            return _check(options)
        except SettingsError as error:
            # It stays as it was saved: a daemon that runs goes on with what was in force, and nobody's work is lost.
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise
            print(error, file=sys.stderr)
            if not _yes("Edit it again? [Y/n] "):
                return FAILED


def _yes(question: str) -> bool:
    """Enter is yes; the end of input is no."""
    try:
        return not input(question).strip().lower().startswith("n")
    except EOFError:
        print()
        return False


def _import(options: argparse.Namespace) -> int:
    file = Path(options.file or os.environ.get(CODEX_HOME) or Path.home() / ".codex")
    file = file / "config.toml" if file.is_dir() else file
    sources = _sources(options)
    state = begin(sources, store.read_contents(SystemFiles(), sources))
    own = next((layer.values for layer in state.current.layers if layer.layer == "user"), {})
    content = file.read_bytes()
    file_layer(str(file), content)  # what is no TOML is named with its place
    borrowed = borrowing.borrow(content, own)
    for edit in borrowed.edits:
        told = secrets.shown(split_key_path(edit.key_path), edit.value)
        print(f"  {edit.key_path} = {msgspec.json.encode(told).decode()}")
    for key, why in borrowed.left.items():
        print(f"  not taken: {key}: {why}")
    if not borrowed.edits:
        print(f"nothing to take over from {file}")
        return OK
    if options.dry_run:
        print(f"nothing written; without --dry-run this would go to {sources.user_file}")
        return OK
    return write(options, borrowed.edits)


# --- describing -----------------------------------------------------------------------------------------------------


def _schema(_: argparse.Namespace) -> int:
    print(msgspec.json.format(msgspec.json.encode(reference.schema()), indent=2).decode())
    return OK


def _reference(_: argparse.Namespace) -> int:
    print(reference.markdown())
    return OK


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "get": _get,
    "set": _set,
    "unset": _unset,
    "list": _list,
    "edit": _edit,
    "check": _check,
    "import": _import,
    "schema": _schema,
    "reference": _reference,
}
