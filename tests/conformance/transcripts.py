"""Recorded conversations, read: JSON lines with ``t``, ``conn``, ``dir`` and ``msg``, as `recording.py` writes them.

What a recording proxy refused by itself, and what it answered instead of the server, is left out: neither server saw
the one or said the other. A ``msg`` that is a string is a frame that was sent as it stands and is no JSON message.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

Frame = dict[str, Any]
Direction = Literal["c2s", "s2c"]

CUT_MARK = "…[+"
"""Where whoever recorded it left out the rest of a long text."""


@dataclass(frozen=True, slots=True)
class Line:
    """One frame of one connection, or its end (``frame`` and ``text`` are None)."""

    conn: str
    direction: Direction
    frame: Frame | None = None
    text: str | None = None
    at: float = 0.0
    """Seconds, of the recording's own clock."""

    @property
    def is_end(self) -> bool:
        return self.frame is None and self.text is None

    @property
    def method(self) -> str:
        """Of a request or notification; empty for an answer."""
        return str((self.frame or {}).get("method", ""))

    @property
    def params(self) -> Frame:
        params = (self.frame or {}).get("params")
        return params if isinstance(params, dict) else {}

    @property
    def is_answer(self) -> bool:
        return self.frame is not None and "method" not in self.frame and "id" in self.frame

    @property
    def is_request(self) -> bool:
        return "method" in (self.frame or {}) and "id" in (self.frame or {})


@dataclass(frozen=True, slots=True)
class Transcript:
    """One file."""

    name: str
    lines: tuple[Line, ...]

    def told(self, method: str) -> Iterator[Frame]:
        """The params of the server's notifications and requests of that name."""
        return (line.params for line in self.lines if line.direction == "s2c" and line.method == method)

    def sent(self, method: str) -> Iterator[Frame]:
        """The params of the client's requests of that name."""
        return (line.params for line in self.lines if line.direction == "c2s" and line.method == method)

    def answers(self) -> Iterator[tuple[Line, Line]]:
        """Each request of a client with the server's answer."""
        open_: dict[tuple[str, str], Line] = {}
        for line in self.lines:
            if line.direction == "c2s" and line.is_request and line.frame is not None:
                open_[line.conn, key_of(line.frame["id"])] = line
            elif line.direction == "s2c" and line.is_answer and line.frame is not None:
                asked = open_.pop((line.conn, key_of(line.frame["id"])), None)
                if asked is not None:
                    yield asked, line

    def methods(self) -> set[str]:
        """What its clients ask for."""
        return {line.method for line in self.lines if line.direction == "c2s" and line.is_request}


def key_of(id_: object) -> str:
    """A request id as a key: 1 and "1" are two."""
    return msgspec.json.encode(id_).decode()


def read_transcript(path: Path) -> Transcript:
    """Raises ValueError naming the line that is none."""
    lines: list[Line] = []
    ended: set[str] = set()
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            read = msgspec.json.decode(text)
            line = _line(read)
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name}: line {number} is no line of a transcript: {error}") from error
        if line is None or (line.is_end and line.conn in ended):
            continue
        if line.is_end:
            ended.add(line.conn)
        lines.append(line)
    return Transcript(path.stem, tuple(_apart(lines)))


def _apart(lines: list[Line]) -> list[Line]:
    """A recorder that counts no connections gives all of them one name; each begins with an `initialize` that works."""
    answers = {id(asked): answer for asked, answer in Transcript("", tuple(lines)).answers()}
    counts: dict[str, int] = {}
    found = []
    for line in lines:
        answer = answers.get(id(line))
        if line.direction == "c2s" and line.method == "initialize" and "result" in ((answer and answer.frame) or {}):
            if line.conn in counts:
                found.append(Line(_nth(line.conn, counts[line.conn]), "c2s", at=line.at))
            counts[line.conn] = counts.get(line.conn, 0) + 1
        number = counts.get(line.conn, 1)
        found.append(line if number == 1 else dataclasses.replace(line, conn=_nth(line.conn, number)))
    return found


def _nth(conn: str, number: int) -> str:
    return conn if number == 1 else f"{conn}#{number}"


def _line(read: dict[str, Any]) -> Line | None:
    if read.get("denied") or read.get("synthetic") or read.get("op") == "open":
        return None
    conn = str(read["conn"])
    direction: Direction = "c2s" if read["dir"] == "c2s" else "s2c"
    at = float(read.get("t") or 0.0)
    message = read.get("msg")
    if isinstance(message, dict):
        return Line(conn, direction, frame=message, at=at)
    if message is not None:
        return Line(
            conn, direction, text=message if isinstance(message, str) else msgspec.json.encode(message).decode()
        )
    return Line(conn, direction, at=at) if read.get("op") == "close" else None
