"""Which scene and which step answers a prompt."""

from __future__ import annotations

import re

import msgspec

from actors.rehearsal.fill import Names
from actors.rehearsal.prompt import Prompt
from actors.rehearsal.script import Act, Scene, SceneError, Step

SCENE_MODEL = "rehearsal:"
"""A model named ``rehearsal:NAME`` plays that scene, whatever the prompt says."""


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played."""

    scene: str
    step: int
    acts: tuple[Act, ...]
    names: Names


def cast(scenes: tuple[Scene, ...], prompt: Prompt, attempt: int) -> Cue:
    """``attempt`` counts how often this very request was sent before. Raises SceneError naming what does not fit."""
    scene, groups = _scene(scenes, prompt)
    for number, step in enumerate(scene.step):
        if _fits(step, prompt, attempt):
            return Cue(scene=scene.name, step=number, acts=step.then, names=Names(scene, prompt, groups, step.let))
    raise SceneError(
        f"scene {scene.name!r} has no step for round {prompt.round}, attempt {attempt + 1} "
        f"after {len(prompt.answered)} outputs"
    )


def _scene(scenes: tuple[Scene, ...], prompt: Prompt) -> tuple[Scene, tuple[str, ...]]:
    wanted = prompt.model.removeprefix(SCENE_MODEL) if prompt.model.startswith(SCENE_MODEL) else None
    for scene in scenes:
        when = scene.when
        match = re.search(when.user, prompt.user) if when.user is not None else None
        groups = tuple(group or "" for group in match.groups()) if match else ()
        if wanted is not None:
            if scene.name == wanted:
                return scene, groups
            continue
        if when.user is not None and match is None:
            continue
        if when.schema is not None and when.schema != (prompt.schema is not None):
            continue
        if when.schema_property is not None and when.schema_property not in (prompt.schema or {}).get("properties", {}):
            continue
        return scene, groups
    known = ", ".join(scene.name for scene in scenes) or "none"
    if wanted is not None:
        raise SceneError(f"there is no scene {wanted!r}; there are: {known}")
    raise SceneError(f"no scene is for this prompt; there are: {known}")


def _fits(step: Step, prompt: Prompt, attempt: int) -> bool:
    if step.round is not None and step.round != prompt.round:
        return False
    if step.user is not None and re.search(step.user, prompt.user) is None:
        return False
    if step.attempt_below is not None and attempt >= step.attempt_below:
        return False
    if step.outputs is not None:
        last_round = "\n".join(call.output for call in prompt.answered if call.round == prompt.round)
        return re.search(step.outputs, last_round) is not None
    return True
