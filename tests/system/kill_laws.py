"""What must hold after a daemon was killed, whenever that was. Each law names what is wrong; no news is good news.

They look at what a client was shown (frames), at what is on disk (the rollout and what the tools left in the
workspace) and at what the next daemon says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from messages.base import ThreadId
from messages.client.item import ThreadItem
from tests.system.kill_play import Workspace
from tests.system.peer import Frame


class Shown:
    """One thread as one client was shown it until the connection broke."""

    def __init__(self, thread: Frame, workspace: Workspace, play: str, name: str) -> None:
        self.thread_id: str = thread["id"]
        self.path = Path(thread["path"])
        self.workspace = workspace
        self.play = play
        self.name = name
        self.items: dict[str, Frame] = {}
        """Completed, by id."""
        self.open: dict[str, Frame] = {}
        """Started and not completed."""
        self.ended: dict[str, str] = {}
        """Status of every turn that was said to be completed, by id."""
        self.turns: list[str] = []
        self.asked: dict[str, Frame] = {}
        """Requests for approval, by id."""
        self.resolved: set[str] = set()
        self.accepted = False
        """The turn's start was answered."""
        self.remains = b""
        """The log as the killed daemon left it."""

    def begin(self, name: str) -> None:
        """Another turn, or another daemon: what was completed stays true, what was going on is over."""
        self.name = name
        self.accepted = False
        self.turns.clear()
        for under_way in (self.open, self.asked, self.resolved):
            under_way.clear()

    def hear(self, frame: Frame) -> None:
        """Take note of one frame, if it is about this thread."""
        params = frame.get("params")
        if not isinstance(params, dict) or params.get("threadId") != self.thread_id:
            return
        match frame["method"]:
            case "turn/started":
                self.turns.append(params["turn"]["id"])
            case "turn/completed":
                self.ended[params["turn"]["id"]] = params["turn"]["status"]
            case "item/started":
                self.open[params["item"]["id"]] = params["item"]
            case "item/completed":
                item = params["item"]
                self.open.pop(item["id"], None)
                self.items[item["id"]] = item
            case "item/commandExecution/requestApproval" | "item/fileChange/requestApproval":
                self.asked[frame["id"]] = params
            case "serverRequest/resolved":
                self.resolved.add(params["requestId"])
            case _:
                pass

    def phase(self, *, sampling: bool) -> str:
        """Where the turn was, as far as a client could see."""
        if not self.turns:
            return "before the turn"
        if self.turns[-1] in self.ended:
            return "after the turn"
        if self.asked.keys() - self.resolved:
            return "waiting for approval"
        kinds = [item["type"] for item in self.open.values()]
        if "dynamicToolCall" in kinds:
            return "script running"
        if "fileChange" in kinds:
            return "patching"
        if sampling:
            return "model: streaming" if "agentMessage" in kinds or "reasoning" in kinds else "model: asked"
        return "tools running" if kinds else "between steps"


def load(shown: Shown) -> LoadedThread:
    """What the rollout says as it is now. Raises OSError."""
    return project(shown.path.read_bytes(), ThreadId(shown.thread_id))


def waits_for_people(loaded: LoadedThread) -> bool:
    """Whether answers are all that its turn waits for, judged from the ledger of its calls."""
    if loaded.open_turn is None:
        return False
    unanswered = [call for call in loaded.open_turn.calls if not call.answered]
    return any(call.awaits_approval for call in unanswered) and not any(call.started for call in unanswered)


def is_replayed(loaded: LoadedThread) -> bool:
    """Whether a script is going on, and nothing beside it that had started: the next daemon replays it."""
    if loaded.open_turn is None:
        return False
    unanswered = [call for call in loaded.open_turn.calls if not call.answered]
    return any(script.runs for script in loaded.open_turn.scripts) and not any(call.started for call in unanswered)


# --- the laws -------------------------------------------------------------------------------------------------------


def history_is_valid(loaded: LoadedThread) -> list[str]:
    """Every provider accepts it."""
    problems = [f"the history: {problem}" for problem in validate_history(loaded.history)]
    if loaded.counts.unreadable or loaded.counts.gaps:
        problems.append(f"the log has damage: {loaded.counts}")
    return problems


def shown_is_logged(shown: Shown, loaded: LoadedThread) -> list[str]:
    """No completed item that a client was shown is lost, and none is another than it was shown as."""
    logged = {item.id: item for turn in loaded.turns for item in turn.items}
    problems = []
    for id_, frame in shown.items.items():
        as_shown: ThreadItem = msgspec.convert(frame, ThreadItem)
        if logged.get(id_) != as_shown:
            problems.append(f"shown as completed: {frame}; in the log: {logged.get(id_)}")
    statuses = {turn.id: turn.status for turn in loaded.turns}
    for turn_id, status in shown.ended.items():
        if statuses.get(turn_id) != status:  # type: ignore[call-overload]  # ids are strings on the wire
            problems.append(f"turn {turn_id} was shown as {status}; the log says {statuses.get(turn_id)}")  # type: ignore[call-overload]
    return problems


def shown_is_resumed(shown: Shown, thread: Frame) -> list[str]:
    """The next daemon shows all of it again, unchanged."""
    resumed = {item["id"]: item for turn in thread["turns"] for item in turn["items"]}
    statuses = {turn["id"]: turn["status"] for turn in thread["turns"]}
    problems = [
        f"shown as completed: {item}; resumed as: {resumed.get(id_)}"
        for id_, item in shown.items.items()
        if resumed.get(id_) != item
    ]
    problems += [
        f"turn {turn_id} was shown as {status}, and is resumed as {statuses.get(turn_id)}"
        for turn_id, status in shown.ended.items()
        if statuses.get(turn_id) != status
    ]
    return problems


def nothing_runs(thread: Frame) -> list[str]:
    """Every turn is over and every item has ended."""
    problems = [f"turn {turn['id']} is {turn['status']}" for turn in thread["turns"] if turn["status"] == "inProgress"]
    problems += [
        f"item {item['id']} ({item['type']}) is still in progress"
        for turn in thread["turns"]
        for item in turn["items"]
        if item.get("status") == "inProgress"
    ]
    if thread["status"]["type"] not in ("idle", "notLoaded"):
        problems.append(f"the thread's status is {thread['status']}")
    return problems


def nothing_diverged(loaded: LoadedThread) -> list[str]:
    """No script was another one when it was replayed."""
    results = [item.raw.decode() for item in loaded.history if item.kind == "message"]
    return [text for text in results if '<tool-calls-result status=\\"diverged' in text]


def only_added_to(before: bytes, after: bytes) -> list[str]:
    """Recovery appends; the whole lines that were there stay as they were, byte for byte."""
    whole = before[: before.rfind(b"\n") + 1]
    return [] if after.startswith(whole) else ["recovery changed lines that were in the log"]


def ran_once(shown: Shown) -> list[str]:
    """No call took effect twice, and none that was shown to have succeeded took none."""
    effects = shown.workspace.effects()
    problems = [f"{name} took effect {count} times" for name, count in effects.items() if count > 1]
    keys = [key for key, _ in shown.workspace.ledger()]
    problems += [f"two effects have the idempotency key {key}" for key in set(keys) if keys.count(key) > 1]
    for item in shown.items.values():
        name = _effect_of(item)
        if name is not None and item["status"] == "completed" and not effects[name]:
            problems.append(f"{name} was shown as completed, and left no effect")
    return problems


def _effect_of(item: Frame) -> str | None:
    if item["type"] == "fileChange":
        return str(item["changes"][0]["diff"].rpartition("+")[2].strip())
    found: Any = item["command"].partition("sh note ")[2] if item["type"] == "commandExecution" else ""
    return found.split(";")[0].split("'")[0].strip() or None
