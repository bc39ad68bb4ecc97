"""Every frame of a conversation: kept in the order it passed, and checked against the recorded schemas meanwhile.

A recording is written as JSON lines with the members ``t`` (seconds since it began), ``conn``, ``dir`` (``c2s`` or
``s2c``) and ``msg``; lines with ``op`` say that a connection opened or closed.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema  # type: ignore[import-untyped]  # it has no types; only its verdict is used
import msgspec
import trio

from tests.protocol_schema import RESPONSES, check_server_frame
from tests.reference import reference_path, reference_root

Frame = dict[str, Any]
Direction = Literal["c2s", "s2c"]

MAX_PROBLEMS = 50
"""Kept of one conversation: the first few tell the story."""

NULL_PARAMS = {
    "account/logout": "LogoutAccountResponse",
    "account/rateLimits/read": "GetAccountRateLimitsResponse",
    "config/value/write": "ConfigWriteResponse",
    "config/batchWrite": "ConfigWriteResponse",
    "configRequirements/read": "ConfigRequirementsReadResponse",
}
"""Methods whose answer is not called like their params."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One frame, or one event of a connection."""

    t: float
    conn: str
    dir: Direction | None = None
    msg: Any = None
    op: str | None = None


class SilenceError(AssertionError):
    """What had to come did not; the text says what did."""


class Recording:
    """One conversation, of one or several connections."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.problems: list[str] = []
        """Frames of the daemon that break the schema."""
        self.validated = 0
        self._begun_at = time.monotonic()
        self._asked: dict[tuple[str, str], str] = {}
        self._news = trio.Event()
        self._checks = reference_root() is not None

    # --- writing ----------------------------------------------------------------------------------------------------

    def client_said(self, conn: str, data: str | bytes) -> None:
        """A frame on its way to the daemon."""
        self._keep(conn, "c2s", data)

    def server_said(self, conn: str, data: str | bytes) -> None:
        """A frame on its way to the client."""
        self._keep(conn, "s2c", data)

    def hear(self, record: bytes) -> None:
        """Take over the lines that `shim.py` wrote."""
        for text in record.splitlines():
            line = msgspec.json.decode(text)
            self._keep(line["conn"], line["dir"], line["data"])

    def happened(self, conn: str, what: str) -> None:
        """Something that is no frame."""
        self._append(Line(t=self._now(), conn=conn, op=what))

    def _keep(self, conn: str, direction: Direction, data: str | bytes) -> None:
        try:
            message = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            message = None
            if direction == "s2c":
                self._problem(f"{conn}: the daemon sent what is no JSON ({error}): {data[:200]!r}")
        self._append(Line(t=self._now(), conn=conn, dir=direction, msg=message))
        if not isinstance(message, dict):
            return
        if direction == "c2s":
            if "method" in message and "id" in message:
                self._asked[conn, json.dumps(message["id"])] = message["method"]
        elif self._checks:
            answering = None if "method" in message else self._asked.pop((conn, json.dumps(message.get("id"))), None)
            self._check(conn, message, answering)

    def _check(self, conn: str, message: Frame, answering: str | None) -> None:
        what = message.get("method") or f"the answer to {answering or 'nothing that was asked'}"
        self.validated += 1
        try:
            check_server_frame(message)
            if answering is not None and "result" in message and not answering.startswith("callboard/"):
                answer_validator(answering).validate(message["result"])
        except jsonschema.ValidationError as error:
            where = "/".join(str(part) for part in error.absolute_path)
            self._problem(f"{conn}: {what} breaks the schema at {where or 'its top'}: {error.message[:300]}")
        except AssertionError as error:
            self._problem(f"{conn}: {what}: {error}")

    def _problem(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)

    def _append(self, line: Line) -> None:
        self.lines.append(line)
        news, self._news = self._news, trio.Event()
        news.set()

    def _now(self) -> float:
        return round(time.monotonic() - self._begun_at, 4)

    def write(self, path: Path) -> None:
        """Keep it as a file."""
        with path.open("wb") as file:
            for line in self.lines:
                file.write(msgspec.json.encode(line) + b"\n")

    # --- reading ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.lines)

    def sent(self, method: str, after: int = 0) -> list[Frame]:
        """The client's requests and notifications of that name."""
        return [line.msg for line in self._frames("c2s", after) if line.msg.get("method") == method]

    def told(self, method: str, after: int = 0) -> list[Frame]:
        """The daemon's notifications and requests of that name."""
        return [line.msg for line in self._frames("s2c", after) if line.msg.get("method") == method]

    def answers(self, method: str, after: int = 0) -> list[Frame]:
        """The daemon's answers to the requests of that name."""
        asked: dict[tuple[str, str], str] = {}
        found = []
        for number, line in enumerate(self.lines):
            if not isinstance(line.msg, dict) or "id" not in line.msg:
                continue
            key = line.conn, json.dumps(line.msg["id"])
            if line.dir == "c2s" and "method" in line.msg:
                asked[key] = line.msg["method"]
            elif line.dir == "s2c" and "method" not in line.msg and asked.pop(key, None) == method and number >= after:
                found.append(line.msg)
        return found

    def _frames(self, direction: Direction, after: int) -> Iterator[Line]:
        return (line for line in self.lines[after:] if line.dir == direction and isinstance(line.msg, dict))

    async def until(self, fits: Callable[[], object], seconds: float, what: str) -> None:
        """Wait until ``fits`` is true of this recording. Raises SilenceError."""
        with trio.move_on_after(seconds):
            while not fits():
                await self._news.wait()
            return
        raise SilenceError(f"{what}: not within {seconds:g} s; last passed: {self._last()}")

    def _last(self) -> list[str]:
        return [
            f"{line.conn} {line.dir} {line.msg.get('method') or str(line.msg)[:80]}"
            for line in self.lines[-6:]
            if isinstance(line.msg, dict)
        ]


@functools.cache
def answer_validator(method: str) -> jsonschema.protocols.Validator:
    """For the result of a method: the schema that is called like its params. Raises AssertionError if there is none."""
    name = RESPONSES.get(method) or _answer_schema(method)
    assert name is not None, f"no schema says what {method} answers"
    schema = json.loads(reference_path(f"protocol/schema/{name}").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def _answer_schema(method: str) -> str | None:
    name = NULL_PARAMS.get(method)
    if name is None:
        params = _params_names().get(method)
        name = None if params is None else params.removesuffix("Params") + "Response"
    if name is None:
        return None
    places = (f"{folder}{name}.json" for folder in ("v2/", "", "v1/"))
    return next((place for place in places if reference_path("protocol/schema").joinpath(place).exists()), None)


@functools.cache
def _params_names() -> dict[str, str]:
    union = json.loads(reference_path("protocol/schema/ClientRequest.json").read_text())
    return {
        variant["properties"]["method"]["enum"][0]: variant["properties"]["params"]["$ref"].rpartition("/")[2]
        for variant in union["oneOf"]
        if "$ref" in variant["properties"].get("params", {})
    }
