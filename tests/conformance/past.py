"""Threads that a recording speaks of and does not start: they were there before it began. Pure.

What they held is told where a client reads them (thread/resume, thread/read, thread/turns/list, thread/items/list); the
replay gives the fresh daemon threads with the same turns first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.conformance.deriving import Part, Piece, Response, TurnScript, patch_text, shell_script
from tests.conformance.transcripts import Frame, Transcript

OPENING = frozenset({"thread/start", "thread/fork"})

COMPACTION = "thread/compact/start"
"""Who asks for that has something to compact."""


@dataclass(slots=True)
class PastThread:
    """One thread, as it was before."""

    id: str
    conn: str
    """Who speaks of it first."""
    cwd: str = ""
    name: str | None = None
    settings: Frame = field(default_factory=dict)
    """What the first turn of the recording asks for: it was in force already."""
    turns: list[tuple[str, Frame]] = field(default_factory=list)
    """Recorded turn ids, and the user's message."""
    scripts: list[TurnScript] = field(default_factory=list)
    """What the model said then."""


def threads_of_the_past(transcript: Transcript) -> list[PastThread]:
    """In the order in which they are spoken of. A request about one that fails made no use of it."""
    begun: set[str] = set()
    found: dict[str, PastThread] = {}
    contents: dict[str, dict[str, list[Frame]]] = {}
    answers = {id(asked): answer for asked, answer in transcript.answers()}
    for line in transcript.lines:
        if line.direction != "c2s" or not line.is_request:
            continue
        answer = answers.get(id(line))
        result: dict[str, Any] = ((answer.frame or {}).get("result") or {}) if answer is not None else {}
        thread_id = line.params.get("threadId")
        if line.method in OPENING and isinstance(result.get("thread"), dict):
            begun.add(str(result["thread"]["id"]))
        elif (
            isinstance(thread_id, str)
            and thread_id not in begun
            and (answer is None or "result" in (answer.frame or {}))
        ):
            past = found.setdefault(thread_id, PastThread(thread_id, line.conn, str(line.params.get("cwd") or "")))
            _remember(past, contents.setdefault(thread_id, {}), line.method, result)
    for thread_id, past in found.items():
        for turn_id, items in contents[thread_id].items():
            said = [item for item in items if item.get("type") == "userMessage"]
            if said:
                past.turns.append((turn_id, said[0]))
                past.scripts.append(_script(items))
        if not past.turns and any(params.get("threadId") == thread_id for params in transcript.sent(COMPACTION)):
            past.turns.append(("", {"content": [{"type": "text", "text": "What was said before."}]}))
            past.scripts.append(TurnScript(responses=[Response([Part("message", [Piece("An answer.", 0)])])]))
        past.cwd = past.cwd or _folder_of(transcript, thread_id)
        past.settings = _settings_of(transcript, thread_id)
    return list(found.values())


SETTINGS = ("cwd", "approvalPolicy", "model", "effort", "summary", "collaborationMode")


def _settings_of(transcript: Transcript, thread_id: str) -> Frame:
    for params in transcript.sent("turn/start"):
        if params.get("threadId") == thread_id:
            return {key: params[key] for key in SETTINGS if params.get(key) is not None}
    return {}


def _folder_of(transcript: Transcript, thread_id: str) -> str:
    """Where a thread works, from whatever is told of it."""
    for line in transcript.lines:
        if line.params.get("threadId") == thread_id:
            for part in (line.params, line.params.get("item"), line.params.get("threadSettings")):
                if isinstance(part, dict) and isinstance(part.get("cwd"), str):
                    return str(part["cwd"])
    return ""


def _remember(past: PastThread, turns: dict[str, list[Frame]], method: str, result: Frame) -> None:
    thread = result.get("thread") or {}
    past.cwd = past.cwd or str(thread.get("cwd") or "")
    past.name = past.name or thread.get("name")
    pages = [*(thread.get("turns") or []), *(result.get("data") or [] if method == "thread/turns/list" else [])]
    for turn in pages:
        if turn.get("status") != "inProgress" and len(turn.get("items") or []) > len(turns.get(turn["id"], [])):
            turns[turn["id"]] = turn["items"]
    if method == "thread/items/list":
        for entry in result.get("data") or []:
            known = turns.setdefault(entry["turnId"], [])
            if all(item["id"] != entry["item"]["id"] for item in known):
                known.append(entry["item"])


def _script(items: list[Frame]) -> TurnScript:
    turn = TurnScript(responses=[Response()])
    for item in items:
        kind = item.get("type")
        parts = turn.responses[-1].parts
        if kind in ("agentMessage", "reasoning") and any(part.kind in ("call", "patch") for part in parts):
            turn.responses.append(Response())
            parts = turn.responses[-1].parts
        if kind == "agentMessage":
            parts.append(Part("message", [Piece(str(item["text"]), 0)], id=str(item["id"]), phase=item.get("phase")))
        elif kind == "reasoning":
            summaries = [[Piece(str(text), 0)] for text in item.get("summary") or []]
            parts.append(Part("reasoning", summaries=summaries, id=str(item["id"])))
        elif kind == "commandExecution":
            command = {"cmd": shell_script(str(item["command"]))}
            parts.append(Part("call", id=str(item["id"]), name="exec_command", arguments=command))
        elif kind == "fileChange":
            parts.append(Part("patch", id=str(item["id"]), text=patch_text(item["changes"])))
    if any(part.kind in ("call", "patch") for part in turn.responses[-1].parts):
        turn.responses.append(Response())
    return turn
