"""What the model must have said for a recorded conversation to come out as it did. Pure.

A turn is one response after another. A response ends where the server told the tokens it used, where a steering message
entered, or at an error; its parts are the items that began in it. What the model said before a client's frame must have
been said before that frame is sent again, and what it said after it, after: each piece of text carries how many frames
the clients had sent by then, and the replay lets it be said no earlier.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tests.conformance.transcripts import Frame, Line, Transcript

ModelEnding = Literal["complete", "hang", "cut", "stop"]
"""The terminal event; silence until the daemon hangs up; the connection breaks; the body ends without a terminal
event."""

SHORT_YIELD_MS = 250
"""The least that the tool allows: how long the recorded model waited for its command is not told."""

QUESTION = ("id", "header", "question", "options")
"""Of a question what the model says; the rest is the server's."""

SUMMARY = "What was said before, in short."
"""What the model wrote when it was asked to sum up is told to nobody."""

HIDDEN_CALL = "a_tool_that_nobody_offers"
"""What was called where a response led to another one and showed no item."""

TOOL_ITEMS = frozenset(
    {"commandExecution", "fileChange", "mcpToolCall", "dynamicToolCall", "webSearch", "imageView", "contextCompaction"}
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, and how many client frames were sent before it."""

    text: str
    after: int


@dataclass(slots=True)
class Part:
    """One output item of a response."""

    kind: Literal["message", "reasoning", "call", "patch", "search"]
    pieces: list[Piece] = field(default_factory=list)
    """Of a message; of a reasoning item its raw text."""
    summaries: list[list[Piece]] = field(default_factory=list)
    id: str = ""
    phase: str | None = None
    whole: bool = True
    name: str = ""
    arguments: Frame = field(default_factory=dict)
    text: str = ""
    """A patch; what is searched for."""
    after: int = 0


@dataclass(slots=True)
class Response:
    """One answer of the model."""

    parts: list[Part] = field(default_factory=list)
    ending: ModelEnding = "complete"
    status: int | None = None
    """An HTTP error instead of a stream, with this body."""
    body: Frame = field(default_factory=dict)
    failed: Frame | None = None
    """`response.failed` with this error."""
    after: int = 0
    """How many client frames were sent before it ended."""
    tokens: tuple[int, int] | None = None
    """Of input and output, where they were told."""


@dataclass(slots=True)
class TurnScript:
    """The responses of one turn, in order, and what was said of the turn."""

    responses: list[Response] = field(default_factory=list)
    retries: int = 0
    """How often the server announced that it would try again."""


Scripts = dict[str, list[TurnScript]]
"""By the recorded thread's id, in the order of its turns."""


def derive(transcript: Transcript) -> Scripts:
    """The model's part."""
    threads: dict[str, _Thread] = {}
    sent = 0  # frames of clients, and their ends: what the replay counts as well
    for line in _heard_once(transcript.lines):
        if line.direction == "c2s" or line.is_end:
            sent += 1
            continue
        params = line.params
        thread_id = params.get("threadId")
        if isinstance(thread_id, str) and line.method:
            threads.setdefault(thread_id, _Thread()).hear(line.method, params, sent)
    return {thread_id: thread.finish() for thread_id, thread in threads.items()}


def rewritten(scripts: Scripts, rename: Callable[[str], str]) -> Scripts:
    """The same with other names for folders, in what is called."""
    for turns in scripts.values():
        for turn in turns:
            for response in turn.responses:
                for part in response.parts:
                    part.text = rename(part.text)
                    part.arguments = {
                        key: rename(value) if isinstance(value, str) else value for key, value in part.arguments.items()
                    }
    return scripts


def retries_of(scripts: Scripts) -> int:
    """How often a request must be tried again at most for these scripts."""
    return max((turn.retries for turns in scripts.values() for turn in turns), default=0)


def _heard_once(lines: tuple[Line, ...]) -> list[Line]:
    """Each notification once, however many connections it was sent to; deltas from the one that heard most of them."""
    hearer: dict[tuple[str, str], str] = {}
    amounts: dict[tuple[str, str, str], int] = {}
    for line in lines:
        if line.direction == "s2c" and "delta" in line.params and "itemId" in line.params:
            key = line.method, str(line.params["itemId"]), line.conn
            amounts[key] = amounts.get(key, 0) + 1
    for (method, item, conn), amount in amounts.items():
        known = hearer.get((method, item))
        if known is None or amounts[method, item, known] < amount:
            hearer[method, item] = conn
    seen: dict[bytes, set[str]] = {}
    counted: dict[tuple[bytes, str], int] = {}
    found = []
    for line in lines:
        if line.direction == "s2c" and line.method:
            if "delta" in line.params and "itemId" in line.params:
                if hearer[line.method, str(line.params["itemId"])] == line.conn:
                    found.append(line)
                continue
            told = msgspec.json.encode([line.method, line.params])
            number = counted[told, line.conn] = counted.get((told, line.conn), 0) + 1
            conns = seen.setdefault(told + b"%d" % number, set())
            conns.add(line.conn)
            if len(conns) > 1:
                continue
        found.append(line)
    return found


class _Thread:
    """One thread's turns, as they are heard."""

    def __init__(self) -> None:
        self.turns: list[TurnScript] = []
        self.turn: TurnScript | None = None
        self.response: Response | None = None
        self.parts: dict[str, Part] = {}
        self.users = 0
        self.escalated: dict[str, str] = {}
        """Commands that a person was asked about because the model wanted more rights, and why it did: it will have
        wanted them again where nobody was asked again."""

    def hear(self, method: str, params: Frame, sent: int) -> None:
        item = params.get("item")
        if method == "turn/started":
            self._begin()
        elif method == "item/started" and isinstance(item, dict):
            self._item_started(item, sent)
        elif method == "item/completed" and isinstance(item, dict):
            self._item_completed(item, sent)
        elif method == "item/agentMessage/delta" or method.startswith("item/reasoning/"):
            self._delta(method, params, sent)
        elif method == "item/commandExecution/requestApproval":
            part = self.parts.get(str(params.get("itemId")))
            if part is not None and params.get("reason") is not None:
                part.arguments["sandbox_permissions"] = "require_escalated"
                part.arguments["justification"] = params["reason"]
                self.escalated[part.arguments["cmd"]] = params["reason"]
        elif method == "item/tool/requestUserInput":
            asked = [{key: each[key] for key in QUESTION if key in each} for each in params.get("questions") or []]
            id_ = str(params["itemId"])
            self._add(Part("call", id=id_, name="request_user_input", arguments={"questions": asked}, after=sent))
        elif method == "thread/tokenUsage/updated" and not self._speaking():
            last = (params.get("tokenUsage") or {}).get("last") or {}
            if self.turn is not None:
                self._open().tokens = int(last.get("inputTokens") or 0), int(last.get("outputTokens") or 0)
            self._end("complete", sent)
        elif method == "error":
            self._error(params, sent)
        elif method == "turn/completed":
            self._turn_completed(params, sent)

    def finish(self) -> list[TurnScript]:
        """What was begun and had no end when the recording ended goes on for ever."""
        if self.response is not None:
            self._end("hang", 0)
        if self.turn is not None:
            self.turn.responses.append(Response(ending="hang"))
        return self.turns

    def _begin(self) -> None:
        if self.turn is None:
            self.turn = TurnScript()
            self.turns.append(self.turn)
            self.users = 0

    def _speaking(self) -> bool:
        """Whether words are under way: tokens that are told then are those of before, told again at an interrupt."""
        parts = [] if self.response is None else self.response.parts
        return any(part.kind in ("message", "reasoning") and not part.whole for part in parts)

    def _open(self) -> Response:
        self._begin()
        assert self.turn is not None
        if self.response is None:
            self.response = Response()
            self.turn.responses.append(self.response)
        return self.response

    def _end(self, ending: ModelEnding, sent: int) -> None:
        if self.turn is None:
            return
        response = self._open()
        if any(part.kind in ("call", "patch") for part in response.parts):
            ending = "complete"  # its calls were run, and here they are only when it has ended
        response.ending, response.after = ending, sent
        self.response = None

    def _item_started(self, item: Frame, sent: int) -> None:
        kind, id_ = item.get("type"), str(item.get("id"))
        if kind == "userMessage":
            self._begin()
            self.users += 1
            if self.users > 1 and self.response is not None:
                # A steering message entered: what streamed until then is all that was shown of that response.
                self._end("complete", sent)
            return
        if kind in ("agentMessage", "reasoning"):
            self._yield_running()
        if kind == "agentMessage":
            self._after_tools()
            self._add(Part("message", id=id_, phase=item.get("phase"), whole=False, after=sent))
        elif kind == "reasoning":
            self._after_tools()
            self._add(Part("reasoning", id=id_, whole=False, after=sent))
        elif kind == "contextCompaction":
            self._add(Part("message", [Piece(SUMMARY, sent)], id=id_, whole=False, after=sent))
        elif kind == "commandExecution" and item.get("source") != "userShell":
            self._add(_command(item, sent, self.escalated))
        elif kind == "imageView":
            arguments = {"path": str(item["path"])}
            self._add(Part("call", id=id_, name="view_image", arguments=arguments, whole=False, after=sent))
        elif kind == "webSearch":
            self._add(Part("search", id=id_, text=str(item["query"]), after=sent))
        elif kind == "dynamicToolCall":
            self._add(
                Part(
                    "call",
                    id=id_,
                    name=str(item["tool"]),
                    arguments=item.get("arguments") or {},
                    whole=False,
                    after=sent,
                )
            )
        elif kind == "fileChange":
            self._add(Part("patch", id=id_, text=patch_text(item["changes"]), whole=False, after=sent))

    def _after_tools(self) -> None:
        """Words after a finished call are another response's, also where nobody told the tokens of the first."""
        parts = [] if self.response is None else self.response.parts
        calls = [part for part in parts if part.kind in ("call", "patch")]
        if calls and all(part.whole for part in parts):
            self._end("complete", 0)

    def _yield_running(self) -> None:
        """A command that still runs when the model speaks again was left to run in the background."""
        for part in self.parts.values():
            if part.name == "exec_command" and not part.whole and not self._in_response(part):
                part.arguments["yield_time_ms"] = SHORT_YIELD_MS

    def _in_response(self, part: Part) -> bool:
        return self.response is not None and any(each is part for each in self.response.parts)

    def _add(self, part: Part) -> None:
        self._open().parts.append(part)
        self.parts[part.id] = part

    def _item_completed(self, item: Frame, sent: int) -> None:
        part = self.parts.get(str(item.get("id")))
        if part is None:
            return
        if item.get("type") == "contextCompaction":
            part.whole = True
            self._end("complete", sent)
            return
        if part.kind == "message":
            part.pieces = _completed(part.pieces, str(item.get("text", "")), part.after, sent)
        elif part.kind == "reasoning":
            summaries = [str(text) for text in item.get("summary") or []]
            known = [*part.summaries, *([] for _ in summaries[len(part.summaries) :])]
            part.summaries = [
                _completed(pieces, text, part.after, sent) for pieces, text in zip(known, summaries, strict=False)
            ]
            part.pieces = _completed(
                part.pieces, "".join(str(text) for text in item.get("content") or []), part.after, sent
            )
        part.whole = True

    def _delta(self, method: str, params: Frame, sent: int) -> None:
        part = self.parts.get(str(params.get("itemId")))
        if part is None:
            return
        pieces = part.pieces
        if "summaryIndex" in params:
            while len(part.summaries) <= params["summaryIndex"]:
                part.summaries.append([])
            pieces = part.summaries[params["summaryIndex"]]
        if "delta" in params:
            pieces.append(Piece(str(params["delta"]), sent))

    def _error(self, params: Frame, sent: int) -> None:
        if self.turn is None:
            return
        error = params.get("error") or {}
        response = self._open()
        _fail(response, error)
        if params.get("willRetry"):
            self.turn.retries += 1
        response.after = sent
        self.response = None

    def _turn_completed(self, params: Frame, sent: int) -> None:
        status = (params.get("turn") or {}).get("status")
        if self.response is not None:
            self._end("hang" if status == "interrupted" else "complete", sent)
        elif status == "interrupted" and self.turn is not None and not self.turn.responses:
            self._end("hang", sent)
        if self.turn is not None:
            _reveal_hidden_calls(self.turn)
        self.turn = None


def _reveal_hidden_calls(turn: TurnScript) -> None:
    """A response that was followed by another one without a steering message in between must have called something."""
    for response, following in zip(turn.responses, turn.responses[1:], strict=False):
        if response.ending == "complete" and not response.parts and response.status is None and response.failed is None:
            response.parts.append(Part("call", name=HIDDEN_CALL, after=following.after))


def _completed(pieces: list[Piece], whole: str, begun: int, sent: int) -> list[Piece]:
    """The pieces with what nobody heard streaming: the rest of a text, or all of it where pieces are missing."""
    said = "".join(piece.text for piece in pieces)
    if said == whole:
        return pieces
    if whole.startswith(said):
        return [*pieces, Piece(whole[len(said) :], sent)]
    if whole.endswith(said):
        return [Piece(whole[: -len(said)], begun), *pieces]
    first = pieces[0].after if pieces else sent
    return [Piece(whole, first)]


def _command(item: Frame, sent: int, escalated: dict[str, str]) -> Part:
    arguments: Frame = {"cmd": shell_script(str(item["command"]))}
    if arguments["cmd"] in escalated:
        arguments |= {"sandbox_permissions": "require_escalated", "justification": escalated[arguments["cmd"]]}
    return Part("call", id=str(item["id"]), name="exec_command", arguments=arguments, whole=False, after=sent)


def shell_script(display: str) -> str:
    """What a displayed command (``/bin/bash -lc '…'``) runs."""
    try:
        words = shlex.split(display)
    except ValueError:
        return display
    return words[2] if len(words) == 3 and words[1] in ("-lc", "-c") else display


# --- errors ---------------------------------------------------------------------------------------------------------


def _fail(response: Response, error: Frame) -> None:
    """Make the response fail in the way that was reported."""
    info = error.get("codexErrorInfo")
    word, detail = (info, {}) if isinstance(info, str) else next(iter((info or {"other": {}}).items()))
    status = (detail or {}).get("httpStatusCode")
    said = str(error.get("additionalDetails") or error.get("message") or "")
    if status is not None:
        response.status, response.body = status, _api_error(said, "rehearsed", _TYPES.get(status, "server_error"))
    elif word == "usageLimitExceeded":
        response.status, response.body = 429, _api_error(said, "insufficient_quota", "insufficient_quota")
    elif word == "contextWindowExceeded":
        response.failed = {"code": "context_length_exceeded", "message": said}
    elif word in ("internalServerError", "serverOverloaded") or "high demand" in said:
        response.status = 503 if word == "serverOverloaded" else 500
        response.body = _api_error(said, "server_error", "server_error")
    elif "closed before" in said:
        response.ending = "stop"
    elif word == "responseStreamDisconnected" or "disconnected" in said:
        response.ending = "cut"
    elif said.startswith("{"):
        response.status, response.body = 400, msgspec.json.decode(said)
    else:
        response.failed = {"code": "server_error", "message": said}


_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "requests"}


def _api_error(message: str, code: str, kind: str) -> Frame:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# --- patches --------------------------------------------------------------------------------------------------------

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*$")


def patch_text(changes: Iterable[Frame]) -> str:
    """The patch that a fileChange item shows."""
    lines = ["*** Begin Patch"]
    for change in changes:
        path, kind, diff = change["path"], change["kind"]["type"], str(change["diff"])
        if kind == "add":
            lines += [f"*** Add File: {path}", *(f"+{line}" for line in diff.splitlines())]
        elif kind == "delete":
            lines.append(f"*** Delete File: {path}")
        else:
            lines.append(f"*** Update File: {path}")
            if change["kind"].get("move_path"):
                lines.append(f"*** Move to: {change['kind']['move_path']}")
            lines += ["@@" if _HUNK.match(line) else line for line in diff.splitlines() if not line.startswith("\\ ")]
    return "\n".join([*lines, "*** End Patch", ""])


def files_before(transcript: Transcript) -> dict[str, str]:
    """The files that patches of this conversation change or delete, as they must have been before the first of them."""
    found: dict[str, str] = {}
    made: set[str] = set()
    for params in transcript.told("item/started"):
        item: dict[str, Any] = params.get("item") or {}
        for change in item.get("changes") or []:
            path, kind = str(change["path"]), change["kind"]["type"]
            if kind == "add":
                made.add(path)
            elif path not in made:
                found.setdefault(path, _before(str(change["diff"])) if kind == "update" else str(change["diff"]))
    return found


def _before(diff: str) -> str:
    """What the hunks say was there; lines between hunks are made up."""
    lines: list[str] = []
    for line in diff.splitlines():
        hunk = _HUNK.match(line)
        if hunk is not None:
            first = int(hunk[1])
            lines += [f"line {number}" for number in range(len(lines) + 1, first)]
        elif line[:1] in ("-", " "):
            lines.append(line[1:])
    return "".join(f"{line}\n" for line in lines)
