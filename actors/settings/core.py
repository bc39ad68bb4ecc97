"""What the settings actor knows and decides: which settings are in force, and what an edit of a file comes to. Pure.

A file that changes is taken as a whole or not at all: as long as it is no good, what was in force before stays so, and
the snapshot says it (`broken`). Whoever waits for a change is answered by version, never by a subscription, so that a
crash of this actor loses nobody: the question is simply asked again.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, get_args

import msgspec

from actors.settings.checking import check, dotted
from actors.settings.edits import EditError, edited_text
from actors.settings.key_paths import split_key_path
from actors.settings.layers import (
    CONFIG_FILE,
    SYSTEM_FILE,
    Complete,
    CompleteWith,
    Layer,
    SettingsError,
    client_layer,
    environment_layers,
    file_layer,
    leaves,
    merge,
    version_of,
    wrong_in,
)
from actors.settings.projects import Project, project_layers
from messages.settings import (
    NEEDS_RESTART,
    LayerName,
    Problem,
    Settings,
    SettingsEdit,
    SettingsRefused,
    SettingsSnapshot,
    WriteSettings,
)

STRENGTH: dict[str, int] = {name: strength for strength, name in enumerate(get_args(LayerName))}
"""The order of the layers, the weakest first."""

CLIENTS_MAY_NOT = frozenset({"model_providers", "projects", "project_root_markers", "features", "listen"}) | {
    key for key in NEEDS_RESTART if "." not in key
}
"""What one request cannot ask for its thread: it is the daemon's business, or would reach beyond the thread."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the layers come from: captured once by whoever starts the daemon."""

    home: str
    environment: dict[str, str]
    overrides: tuple[Layer, ...] = ()
    profile: str | None = None
    strict: bool = False
    """Names that nobody knows are errors."""
    system_file: str = SYSTEM_FILE
    register: str | None = None
    """The file that says which logins there are; no layer, but what is in it counts where the settings leave a provider
    open."""

    @property
    def files(self) -> dict[str, LayerName]:
        """Path -> layer, low to high."""
        found: dict[str, LayerName] = {self.system_file: "system", self.user_file: "user"}
        if self.profile is not None:
            found[self.profile_file(self.profile)] = "profile"
        return found

    @property
    def watched(self) -> tuple[str, ...]:
        """Every file that is read."""
        return (*self.files, *(() if self.register is None else (self.register,)))

    @property
    def user_file(self) -> str:
        return posixpath.join(self.home, CONFIG_FILE)

    def profile_file(self, name: str) -> str:
        """Where the profile of this name is."""
        return posixpath.join(self.home, f"{name}.{CONFIG_FILE}")


CLIENTS_SEND = frozenset({"features"})
"""Of that, what clients of the protocol send with every thread, meaning flags of their own: not worth a word."""

Contents = dict[str, bytes | None]
"""Path -> what is in the file; None: there is none."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The files as they were last read, and what is in force."""

    sources: Sources
    contents: Contents
    in_force: Contents
    """The same, unless they are broken."""
    complete: CompleteWith | None
    current: SettingsSnapshot
    first: Settings
    """What the daemon started with."""


def begin(sources: Sources, contents: Contents, complete: CompleteWith | None = None) -> State:
    """Raises SettingsError: a daemon does not start on settings it does not understand."""
    snapshot = _merged(sources, contents, complete)
    return State(
        sources=sources,
        contents=contents,
        in_force=contents,
        complete=complete,
        current=snapshot,
        first=snapshot.settings,
    )


def take(state: State, contents: Contents) -> State:
    """The files are like this now."""
    if contents == state.contents:
        return state
    try:
        snapshot = _merged(state.sources, contents, state.complete)
    except SettingsError as error:
        snapshot = _with(state.current, broken=error.problems)
        return msgspec.structs.replace(state, contents=contents, current=snapshot)
    waiting = tuple(
        Problem(where="settings", key=key, text=f"{key} has changed; it is in force at the next start")
        for key in sorted(NEEDS_RESTART)
        if attrgetter(key)(snapshot.settings) != attrgetter(key)(state.first)
    )
    if waiting:
        snapshot = _with(snapshot, warnings=(*snapshot.warnings, *waiting))
    return msgspec.structs.replace(state, contents=contents, in_force=contents, current=snapshot)


def logins_only(state: State, contents: Contents) -> Contents:
    """The files as they were, but for the register of logins."""
    return {path: contents[path] if path == state.sources.register else was for path, was in state.contents.items()}


def needs_project(state: State) -> bool:
    """Whether the files around a thread's folder count at all."""
    return state.current.settings.features.project_settings


def resolve(state: State, project: Project | None, overrides: Mapping[str, Any]) -> SettingsSnapshot | SettingsRefused:
    """The settings of one thread."""
    base = state.current
    if (project is None or not project.files) and not overrides:
        return base
    layers = [layer for layer in _layers(state.sources, state.in_force).values() if isinstance(layer, Layer)]
    below = tuple(layer for layer in layers if STRENGTH[layer.name] < STRENGTH["project"])
    above = tuple(layer for layer in layers if STRENGTH[layer.name] > STRENGTH["project"])
    middle, problems = ((), ()) if project is None else project_layers(base.settings, project)
    asked, more = _asked(overrides) if overrides else ((), ())
    try:
        return merge(
            state.sources.home,
            (*below, *middle, *above, *asked),
            complete=_complete(state.sources, state.in_force, state.complete),
            warnings=(*problems, *more),
        )
    except SettingsError as error:
        return SettingsRefused(reason="invalid", message=str(error))


def _asked(overrides: Mapping[str, Any]) -> tuple[tuple[Layer, ...], tuple[Problem, ...]]:
    """A request's own layer. Names that mean nothing here are left out without a word, for clients send what other
    daemons know; values that mean nothing here are left out and told of."""
    layer = client_layer(overrides)
    checked = check(layer.values)
    refused = {finding.path[0] for finding in checked.wrong}
    told = [(dotted(path), text) for path, text in checked.wrong]
    told += [
        (key, f"{key} cannot be set for one thread")
        for key in sorted(checked.known.keys() & (CLIENTS_MAY_NOT - CLIENTS_SEND))
    ]
    problems = (Problem(where=layer.where, key=key, text=f"{text} (left out)") for key, text in told)
    values = {key: value for key, value in checked.known.items() if key not in refused | CLIENTS_MAY_NOT}
    return (msgspec.structs.replace(layer, values=values),), tuple(problems)


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """What a write comes to: the file's new text, and the state once it is there."""

    file: str
    text: str
    state: State
    overridden: tuple[str, ...]


def edit(state: State, request: WriteSettings) -> Edited | SettingsRefused:
    """Make a client's edits in a file. ``state.contents`` has just been read."""
    files = state.sources.files
    file = request.file or state.sources.user_file
    if file not in files or files[file] == "system":
        writable = " or ".join(path for path, layer in files.items() if layer != "system")
        return SettingsRefused(reason="invalid", message=f"only {writable} can be written, not {file}")
    before = (state.contents.get(file) or b"").decode("utf-8", "replace")
    if request.expected_version is not None and request.expected_version != version_of(before):
        return SettingsRefused(
            reason="conflict",
            message=f"{file} has changed since it was read (it is at version {version_of(before)}); read it again",
        )
    try:
        text = edited_text(before, request.edits)
    except EditError as error:
        return SettingsRefused(reason="invalid", message=str(error))
    after = take(state, {**state.contents, file: text.encode()})
    if after.current.broken:
        return SettingsRefused(
            reason="invalid", message="nothing was written: " + "\n".join(map(str, after.current.broken))
        )
    overridden = tuple(
        key
        for key in _keys(request.edits)
        if key in after.current.origins and STRENGTH[after.current.origins[key].layer] > STRENGTH[files[file]]
    )
    return Edited(file=file, text=text, state=after, overridden=overridden)


def _keys(edits: tuple[SettingsEdit, ...]) -> list[str]:
    """What the edits set, as origins name it."""
    found: list[str] = []
    for each in edits:
        path = split_key_path(each.key_path)
        value = each.value
        if value is not None:
            inner = leaves(value, path) if isinstance(value, dict) else [path]
            found.extend(dotted(leaf) for leaf in inner)
    return found


def _merged(sources: Sources, contents: Contents, complete: CompleteWith | None) -> SettingsSnapshot:
    layers = _layers(sources, contents)
    problems = [problem for layer in layers.values() if isinstance(layer, SettingsError) for problem in layer.problems]
    if sources.profile is not None and contents.get(sources.profile_file(sources.profile)) is None:
        path = sources.profile_file(sources.profile)
        problems.append(Problem(where=path, text=f"there is no profile {sources.profile!r}: this file does not exist"))
    sound = [layer for layer in layers.values() if not isinstance(layer, SettingsError)]
    if problems:
        raise SettingsError(*problems, *(problem for layer in sound for problem in wrong_in(layer)))
    completed = _complete(sources, contents, complete)
    snapshot = merge(sources.home, sound, strict=sources.strict, complete=completed)
    # A login that changes the provider of new threads is no layer, and yet another state of things.
    chosen = (snapshot.settings.model_provider, snapshot.settings.model)
    return msgspec.structs.replace(snapshot, version=version_of(f"{snapshot.version} {chosen}"))


def _complete(sources: Sources, contents: Contents, complete: CompleteWith | None) -> Complete | None:
    if complete is None:
        return None
    logins = None if sources.register is None else contents.get(sources.register)
    return lambda settings: complete(settings, logins)


def _layers(sources: Sources, contents: Contents) -> dict[str, Layer | SettingsError]:
    """Low to high, under a key that is each layer's own."""
    found: dict[str, Layer | SettingsError] = {}
    for path, name in sources.files.items():
        content = contents.get(path)
        if content is not None:
            try:
                found[path] = file_layer(path, content, name)
            except SettingsError as error:
                found[path] = error
    for number, layer in enumerate((*environment_layers(sources.environment), *sources.overrides)):
        found[f"{number} {layer.where}"] = layer
    return found


def _with(snapshot: SettingsSnapshot, **changes: Any) -> SettingsSnapshot:
    changed = msgspec.structs.replace(snapshot, **changes)
    said = "".join(map(str, (*changed.warnings, *changed.broken)))
    return msgspec.structs.replace(changed, version=version_of(snapshot.version.partition("+")[0] + said))
