"""A conversation without what differs between any two runs. Pure.

What the server said becomes a list of events: deltas of one text are one event, fields that are null or empty are as
good as absent, folders are called by what they are for. Ids stay, and `compare` sees to it that they correspond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.conformance.transcripts import Frame, Line, key_of

EventKind = Literal["answer", "told", "asked"]


@dataclass(slots=True)
class Event:
    """One thing that the server said to one connection."""

    conn: str
    kind: EventKind
    method: str
    """Of the notification or request; of an answer, the method that was asked for."""
    body: Any
    """Params, result or error, without what is null or empty."""
    failed: bool = False
    """An answer that is an error."""
    request: str = ""
    """Of an answer or a question: the request's id, as a key."""
    number: int = 0
    """Its place in the conversation."""
    cut: bool = False
    """A text of which this connection was told a part only: it came late, or left early."""
    asked_about: str = ""
    """Of an answer: the thread that the request named."""
    interrupted: bool = False
    """Its turn was interrupted."""
    late: bool = False
    """This connection did not see the turn begin."""

    @property
    def thread(self) -> str:
        body = self.body if isinstance(self.body, dict) else {}
        thread = body.get("threadId") or (body.get("thread") or {}).get("id")
        return str(thread or "")

    @property
    def item(self) -> Frame:
        found = self.body.get("item") if isinstance(self.body, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def item_id(self) -> str:
        body = self.body if isinstance(self.body, dict) else {}
        return str(self.item.get("id") or body.get("itemId") or "")

    @property
    def turn(self) -> str:
        body = self.body if isinstance(self.body, dict) else {}
        return str(body.get("turnId") or (body.get("turn") or {}).get("id") or "")

    @property
    def label(self) -> str:
        """What it is, for matching and for people."""
        if self.kind == "answer":
            return f"answer to {self.method}{' (error)' if self.failed else ''}"
        body = self.body if isinstance(self.body, dict) else {}
        details = ""
        if self.item:
            details = f" {self.item.get('type')}"
        elif self.method == "thread/status/changed":
            status = body.get("status") or {}
            details = f" {status.get('type')}" + "".join(f"+{flag}" for flag in status.get("activeFlags") or [])
        elif self.method == "turn/completed":
            details = f" {(body.get('turn') or {}).get('status')}"
        elif self.method == "error":
            details = " and will retry" if body.get("willRetry") else ""
        elif "summaryIndex" in body:
            details = f" {body['summaryIndex']}"
        return self.method + details


def events(lines: tuple[Line, ...] | list[Line], rename: Callable[[str], str] = str) -> list[Event]:
    """Everything the server said, in order. ``rename`` puts other names for this run's folders."""
    asked: dict[tuple[str, str], Line] = {}
    texts: dict[tuple[str, str, str, Any], Event] = {}
    found: list[Event] = []
    for line in lines:
        frame = line.frame
        if frame is None:
            continue
        if line.direction == "c2s":
            if line.is_request:
                asked[line.conn, key_of(frame["id"])] = line
            continue
        event = _event(line, frame, asked, rename)
        body = event.body
        if isinstance(body, dict) and "delta" in body and "itemId" in body:
            key = line.conn, event.method, event.item_id, body.get("summaryIndex", body.get("contentIndex"))
            known = texts.get(key)
            if known is not None:
                known.body["delta"] += body["delta"]
                continue
            texts[key] = event
        elif event.method == "item/started":
            # The same id may begin again, after a stream that broke: its text begins again as well.
            for key in [key for key in texts if key[0] == line.conn and key[2] == event.item_id]:
                del texts[key]
        event.number = len(found)
        found.append(event)
    _mark_what_was_missed(found)
    return found


def _mark_what_was_missed(found: list[Event]) -> None:
    begun = {(event.conn, event.item_id) for event in found if event.method == "item/started"}
    ended = {(event.conn, event.item_id) for event in found if event.method == "item/completed"}
    seen = {(event.conn, event.turn) for event in found if event.method == "turn/started"}
    stopped = {event.turn for event in found if event.label == "turn/completed interrupted"}
    for event in found:
        event.interrupted = event.turn in stopped
        event.late = bool(event.turn) and (event.conn, event.turn) not in seen
        if event.kind == "told" and "delta" in event.body:
            event.cut = (event.conn, event.item_id) not in begun & ended


def _event(line: Line, frame: Frame, asked: Mapping[tuple[str, str], Line], rename: Callable[[str], str]) -> Event:
    if line.is_answer:
        request = key_of(frame["id"])
        failed = "error" in frame
        body = without_absent(frame["error"] if failed else frame["result"], rename)
        question = asked.get((line.conn, request))
        if question is None:
            return Event(line.conn, "answer", "", body, failed, request)
        about = str(question.params.get("threadId") or "")
        return Event(line.conn, "answer", question.method, body, failed, request, asked_about=about)
    body = without_absent(line.params, rename) or {}
    if line.is_request:
        return Event(line.conn, "asked", line.method, body, request=key_of(frame["id"]))
    return Event(line.conn, "told", line.method, body)


def without_absent(value: Any, rename: Callable[[str], str] = str) -> Any:
    """The value without members that are null, empty lists or empty objects: to a reader these say the same."""
    if isinstance(value, dict):
        return {rename(key): without_absent(each, rename) for key, each in value.items() if each not in (None, [], {})}
    if isinstance(value, list):
        return [without_absent(each, rename) for each in value]
    return rename(value) if isinstance(value, str) else value
