"""Settings that a project brings along: which files count for a folder, and what they may say. Pure.

A project's file counts only if a person has said so for its folder (`projects."/path".trust_level`), and even then only
for what `PROJECT_MAY_SET` lists: a repository changes with every pull, and who can commit to it is not its user. An
entry counts for a folder between the top of the project and the thread's own, the nearest first; one above the top does
not, for trusting a folder of projects would trust whatever is cloned into it next.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from actors.settings.layers import Layer, SettingsError, file_layer, wrong_in
from messages.settings import PROJECT_MAY_SET, PROJECT_MAY_TIGHTEN, Problem, Settings
from messages.settings.project import TrustLevel

PROJECT_FOLDER = ".callboard"


class ProjectFile(msgspec.Struct, frozen=True, kw_only=True):
    """One that is there."""

    path: str
    content: bytes


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What was found around a folder."""

    cwd: str
    """As it was named."""
    folders: tuple[str, ...]
    """From the top of the project down to ``cwd``, symlinks followed."""
    files: tuple[ProjectFile, ...] = ()
    """In that order."""


def trust(projects: Mapping[str, Any], project: Project) -> TrustLevel | None:
    """What was said of the nearest folder; None if nothing."""
    said = {posixpath.normpath(path): entry.trust_level for path, entry in projects.items()}
    for folder in (project.cwd, *reversed(project.folders)):
        level: TrustLevel | None = said.get(folder)
        if level is not None:
            return level
    return None


def project_layers(settings: Settings, project: Project) -> tuple[tuple[Layer, ...], tuple[Problem, ...]]:
    """The layers of a project over ``settings``, top first, and what is to be told of them.

    A file that cannot be used is left out and told of: a repository must not be able to keep its user from working.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    level = trust(settings.projects, project)
    for file in project.files:
        try:
            layer = file_layer(file.path, file.content, "project")
        except SettingsError as error:
            problems.extend(error.problems)
            layers.append(_disabled(file.path, "it cannot be read"))
            continue
        if level != "trusted":
            why = "the project is not trusted" if level is None else "the project is marked as untrusted"
            top = project.folders[0]
            problems.append(
                Problem(
                    where=file.path,
                    text=f"left out, because {why}; to let it count: "
                    f"callboard config set 'projects.\"{top}\".trust_level' trusted",
                )
            )
            layers.append(msgspec.structs.replace(layer, disabled=why))
            continue
        allowed = {key: value for key, value in layer.values.items() if _may(key, value, settings)}
        problems.extend(
            Problem(where=file.path, key=key, text=f"{key} is left out: {_why_not(key)}")
            for key in layer.values
            if key not in allowed
        )
        layer = msgspec.structs.replace(layer, values=allowed)
        wrong = wrong_in(layer)
        problems.extend(wrong)
        layers.append(_disabled(file.path, "it holds wrong values") if wrong else layer)
    return tuple(layers), tuple(problems)


def _disabled(path: str, why: str) -> Layer:
    return Layer(name="project", where=path, values={}, disabled=why)


def _may(key: str, value: Any, settings: Settings) -> bool:
    if key in PROJECT_MAY_TIGHTEN:
        order: Collection[Any] = PROJECT_MAY_TIGHTEN[key]
        ranks = {each: rank for rank, each in enumerate(order)}
        return isinstance(value, str) and ranks.get(value, -1) >= ranks.get(getattr(settings, key), len(ranks))
    return key in PROJECT_MAY_SET or key not in Settings.__struct_fields__  # names nobody knows are told of by `merge`


def _why_not(key: str) -> str:
    if key in PROJECT_MAY_TIGHTEN:
        return "a project may only make it stricter"
    return "a project's file may not set it; put it into your own config.toml"
