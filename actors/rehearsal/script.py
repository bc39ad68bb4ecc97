"""What a scene file may say. A scene matches prompts; its first step that matches too is what is answered.

    name = "greeting"
    order = 10                                  # scenes are tried in this order
    [when]
    user = '(?i)\\\\bhello\\\\b'                     # a regex over the last user message
    [[step]]
    round = 0                                   # how many times calls were answered since that message
    [[step.then]]
    do = "say"
    text = "Hello. I am a rehearsed model."

TOML, because a scene is prose with a little structure; code, because it would have to be trusted. Unknown keys are
errors: a scene that does not do what it seems to say is worse than none.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

TOKENS_PER_SECOND = 80.0
"""What a fast model streams; still readable."""

MAX_SCENE_BYTES = 256 * 1024
"""Of one file: hundreds of times what a scene needs."""


class SceneError(Exception):
    """A scene that cannot be played; the text names the scene and what is wrong with it."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: no key may be misspelt."""


class When(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which prompts a scene is for; all that is given must hold."""

    user: str | None = None
    """A regex, searched in the last user message. Its groups are ``{{1}}``, ``{{2}}``… ."""
    schema_property: str | None = None
    """The answer must follow a JSON schema that has this property."""
    schema: bool | None = None
    """Whether the answer must follow a JSON schema."""


class Let(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name for a part of something: of every match, its group 1 (or all of it if there is none), one per line."""

    of: str
    """``outputs`` (all since the user's message, the latest last), ``output:TOOL`` (of that tool's calls), ``user``,
    or an earlier name."""
    match: str
    replace: str | None = None
    """Instead of taking the match: the whole text with every match replaced by this."""
    default: str | None = None
    """Without it, no match is an error."""


class Say(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="say"):
    """Visible text, in pieces."""

    text: str
    tokens_per_second: float = TOKENS_PER_SECOND
    phase: Literal["commentary", "final_answer"] | None = None


class Reason(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="reason"):
    """A reasoning summary; blank lines part it."""

    text: str
    tokens_per_second: float = 2 * TOKENS_PER_SECOND


class Refuse(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="refuse"):
    """A refusal, streamed as such."""

    text: str
    tokens_per_second: float = TOKENS_PER_SECOND


class Call(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="call"):
    """A function call. Several in a row are parallel."""

    tool: str
    arguments: dict[str, Any] = {}
    each: str | None = None
    """A name: the call is made once for each of its lines, which is ``{{each}}`` in the arguments."""


class Freeform(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="freeform"):
    """A call whose input is no JSON; a function call with one ``input`` argument where the tool is offered as such."""

    tool: str
    input: str


class Wait(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="wait"):
    """Silence."""

    seconds: float


class Load(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="load"):
    """What the ``load`` directive in the prompt asks for; see `load`."""


class Status(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="status"):
    """An HTTP error instead of a stream. Must come first."""

    code: int
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Raw(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="raw"):
    """Bytes as they stand, inside the stream: events of one's own, or garbage."""

    text: str


class Fail(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="fail"):
    """`response.failed`, after an `error` event that says the same if ``announced``."""

    code: str
    message: str
    announced: bool = False


class Incomplete(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="incomplete"):
    """`response.incomplete`."""

    reason: str = "max_output_tokens"


class Cut(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="cut"):
    """End without a terminal event: ``close`` breaks the connection, ``end`` ends the body properly, ``hang`` stays."""

    how: Literal["close", "end", "hang"] = "close"


Act = Say | Reason | Refuse | Call | Freeform | Wait | Load | Status | Raw | Fail | Incomplete | Cut


class Step(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer. It is played if all its conditions hold and no step before it matched."""

    round: int | None = None
    """How many answers with calls there were since the user's message."""
    user: str | None = None
    """A regex over the last user message, for scenes that play several parts."""
    outputs: str | None = None
    """A regex, searched in the outputs of the last round."""
    attempt_below: int | None = None
    """For the first so many times that this very request is sent: it goes wrong, then the next step plays."""
    let: dict[str, Let] = {}
    """In order; a later one may use an earlier one."""
    then: tuple[Act, ...] = ()


class Scene(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file."""

    name: str
    description: str = ""
    order: int = 100
    when: When = When()
    step: tuple[Step, ...]


def read_scene(source: str, content: bytes) -> Scene:
    """Raises SceneError, which names ``source``."""
    if len(content) > MAX_SCENE_BYTES:
        raise SceneError(f"{source}: a scene may have at most {MAX_SCENE_BYTES} bytes")
    try:
        scene = msgspec.toml.decode(content, type=Scene)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SceneError(f"{source}: {error}") from error
    for pattern in _patterns(scene):
        try:
            re.compile(pattern)
        except re.error as error:
            raise SceneError(f"{source}: {pattern!r} is no regular expression: {error}") from error
    for number, step in enumerate(scene.step):
        if any(isinstance(act, Status) for act in step.then[1:]):
            raise SceneError(f"{source}: step {number}: a status can only come first")
    return scene


def read_scenes(files: dict[str, bytes]) -> tuple[Scene, ...]:
    """All of them, in playing order. Raises SceneError, also for two of one name."""
    scenes = [read_scene(source, content) for source, content in sorted(files.items())]
    names = [scene.name for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise SceneError(f"two scenes are called {name!r}")
    return tuple(sorted(scenes, key=lambda scene: (scene.order, scene.name)))


def _patterns(scene: Scene) -> list[str]:
    patterns = [scene.when.user]
    for step in scene.step:
        patterns += [step.user, step.outputs]
        patterns += [let.match for let in step.let.values()]
    return [pattern for pattern in patterns if pattern is not None]
