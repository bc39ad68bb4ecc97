"""What a worker says, read as if the script had taken the worker over.

A frame is flat: arguments and values travel as text inside it, so its nesting is bounded by its type and nothing of the
script's making is parsed here. Whatever is not exactly a frame is a `FrameError`, and ends the worker.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from messages.script import ConsoleLevel, ScriptFrame

STACK_FRAMES_MAX = 24
"""As many as the engine gives."""


NAME_CHARACTERS = 100
TEXT_CHARACTERS = 4000
"""Of an error's name and code, and of its message and stack: what the prelude cuts them to. They reach the model."""
CAUSES_MAX = 10

Number = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Of a call, a line, milliseconds: the largest delay that `setTimeout` knows."""
Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]


class FrameError(Exception):
    """The worker does not keep to the protocol."""


class AskedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="call"):
    """The script has called a tool."""

    number: Number
    tool: str
    arguments: str
    stack: str


class AskedTimer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="timer"):
    """The script has set a timer."""

    number: Number
    milliseconds: Number


class ClearedTimer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cleared"):
    """It has cleared one."""

    number: Number


class PrintedLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="line"):
    """A line of its console."""

    level: ConsoleLevel
    text: str
    stack: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="progress"):
    """What it says about itself."""

    text: str
    stack: str = ""


Asked = AskedCall | AskedTimer | ClearedTimer | PrintedLine | Progress

State = Literal["running", "returned", "threw", "exceeded", "refused"]


class _Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: State
    outcome: msgspec.Raw
    asked: tuple[Asked, ...]


class Thrown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exception, as the engine describes it."""

    name: Name
    message: Text
    stack: Text = ""
    code: Name = ""
    call_id: Name = ""
    causes: Annotated[tuple[Cause, ...], msgspec.Meta(max_length=CAUSES_MAX)] = ()


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several exceptions behind another."""

    name: Name
    message: Text
    stack: Text = ""
    code: Name = ""
    call_id: Name = ""


class Stopped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker has stopped it, or would not start it."""

    code: Name
    message: Text
    line: Number = 0
    column: Number = 0


class Pumped(msgspec.Struct, frozen=True, kw_only=True):
    """The script ran until it had to wait, or ended: how it stands, and what it has asked for."""

    state: State
    value: str = "null"
    thrown: Thrown | None = None
    stopped: Stopped | None = None
    asked: tuple[Asked, ...] = ()


_FRAME: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_Frame)
_VALUE: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)
_THROWN: msgspec.json.Decoder[Thrown] = msgspec.json.Decoder(Thrown)
_STOPPED: msgspec.json.Decoder[Stopped] = msgspec.json.Decoder(Stopped)


def decode(frame: bytes) -> Pumped:
    """Raises FrameError."""
    try:
        raw = _FRAME.decode(frame)
        match raw.state:
            case "running":
                return Pumped(state="running", asked=raw.asked)
            case "returned":
                return Pumped(state="returned", value=_VALUE.decode(raw.outcome), asked=raw.asked)
            case "threw":
                return Pumped(state="threw", thrown=_THROWN.decode(raw.outcome), asked=raw.asked)
            case "exceeded" | "refused" as state:
                return Pumped(state=state, stopped=_STOPPED.decode(raw.outcome), asked=raw.asked)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError("its process sent what is no frame") from error


def line_of(stack: str) -> int:
    """Where in the script something was said; 0 when that is not known."""
    frames = stack_frames(stack)
    return frames[0].line if frames else 0


_STACK_LINE = re.compile(r" {4}at (.{1,80}) \((\d{1,6}):(\d{1,6})\)")


def stack_frames(stack: str) -> tuple[ScriptFrame, ...]:
    """The lines of a stack that are the script's; whatever else is in the text is left out."""
    matches = map(_STACK_LINE.fullmatch, stack[:8000].split("\n")[:STACK_FRAMES_MAX])
    return tuple(
        ScriptFrame(function=match[1], line=int(match[2]), column=int(match[3]))
        for match in matches
        if match is not None
    )
