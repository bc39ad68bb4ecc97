"""A thread as one client pieces it together from what it is told, and what is wrong with what it is told.

Laws of the wire, checked on every frame:

* positions of one epoch count up by one; only what was caught up from the log has none
* an item starts once, completes once, in this order; what a snapshot shows has begun is completed or in progress
* a delta begins where the text so far ends, or repeats what is known of it
* a finished message's text begins with what was streamed of it
* a turn ends once, and then nothing of it is open but commands that passed to the thread
* a question is asked once per attachment and resolved once
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]
Item = dict[str, Any]

OVER = ("completed", "failed", "declined")

DELTAS = {
    "item/agentMessage/delta": None,
    "item/reasoning/summaryTextDelta": "summaryIndex",
    "item/reasoning/textDelta": "contentIndex",
    "item/commandExecution/outputDelta": None,
    "callboard/script/delta": "index",
}
"""Methods of deltas, and which member tells of several texts in one item."""

QUESTIONS = ("item/commandExecution/requestApproval", "item/fileChange/requestApproval")


@dataclass
class MirroredItem:
    """One item."""

    body: Item
    completed: bool
    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    """By (method of its deltas, index)."""
    growth: list[tuple[float, int]] = field(default_factory=list)
    """When how many characters of all its texts were known."""


@dataclass
class MirroredTurn:
    """One turn; items in the order in which they were first seen."""

    status: str
    items: dict[str, MirroredItem] = field(default_factory=dict)


class Mirror:
    """One client's picture of one thread."""

    def __init__(self) -> None:
        self.turns: dict[str, MirroredTurn] = {}
        self.questions: dict[str, Frame] = {}
        self.epoch: str | None = None
        self.seq = 0
        self.status = ""
        self.complaints: list[str] = []
        self._gap_allowed = False
        self._asked_here: set[str] = set()
        """Questions put since the thread was opened last."""

    # --- what a client is told --------------------------------------------------------------------------------------

    def opened(self, answer: dict[str, Any]) -> None:
        """The answer to thread/start or thread/resume."""
        standing = answer["callboard"]
        self._asked_here.clear()
        if standing["resumed"]:
            if standing["epoch"] != self.epoch:
                self._complain(f"resumed in epoch {standing['epoch']}, not in {self.epoch}")
            return
        self.epoch, self.seq = standing["epoch"], standing["seq"]
        self.questions.clear()
        self.turns = {turn["id"]: _turn(turn) for turn in answer["thread"]["turns"]}
        self.status = answer["thread"]["status"]["type"]

    def hear(self, frame: Frame, at: float) -> None:
        """A notification or request about this thread, heard at ``at``."""
        method, params = frame["method"], frame["params"]
        if method in DELTAS:
            self._delta(method, params, frame["callboard"]["offset"], at)
            return
        self._position(method, params, frame.get("callboard"))
        match method:
            case "turn/started":
                self._turn_started(params["turn"])
            case "turn/completed":
                self._turn_completed(params["turn"])
            case "item/started":
                self._item_started(params["turnId"], params["item"], at)
            case "item/completed":
                self._item_completed(params["turnId"], params["item"])
            case "thread/status/changed":
                self.status = params["status"]["type"]
            case "serverRequest/resolved":
                if self.questions.pop(params["requestId"], None) is None:
                    self._complain(f"question {params['requestId']} is resolved, but was not asked here")
            case _ if method in QUESTIONS:
                if frame["id"] in self._asked_here:
                    self._complain(f"question {frame['id']} is asked twice")
                self._asked_here.add(frame["id"])
                self.questions[frame["id"]] = frame

    def _position(self, method: str, params: dict[str, Any], position: dict[str, Any] | None) -> None:
        if method == "callboard/live":
            position = params
            self._gap_allowed = True
        if position is None:
            # Read back from the log, or replayed at an attachment: it has no position of its own.
            self._gap_allowed = True
            return
        if method in QUESTIONS and position["seq"] <= self.seq:
            return
        if position["epoch"] != self.epoch:
            self._complain(f"{method} of epoch {position['epoch']} in epoch {self.epoch}")
        elif position["seq"] != self.seq + 1 and not self._gap_allowed:
            self._complain(f"{method} has position {position['seq']} behind {self.seq}")
        self.seq = position["seq"]
        self._gap_allowed = False

    def _turn_started(self, turn: dict[str, Any]) -> None:
        if turn["id"] in self.turns:
            self._complain(f"turn {turn['id']} starts twice")
        else:
            self.turns[turn["id"]] = MirroredTurn(status="inProgress")

    def _turn_completed(self, told: dict[str, Any]) -> None:
        turn = self.turns.get(told["id"])
        if turn is None:
            self._complain(f"turn {told['id']} ends and never started")
            return
        if turn.status != "inProgress":
            self._complain(f"turn {told['id']} ends twice")
        turn.status = told["status"]
        for item_id, item in turn.items.items():
            if not item.completed and item.body["type"] != "commandExecution":
                self._complain(f"turn {told['id']} ended, and its item {item_id} ({item.body['type']}) is open")

    def _item_started(self, turn_id: str, body: Item, at: float) -> None:
        turn = self.turns.get(turn_id)
        if turn is None:
            self._complain(f"item {body['id']} of the unknown turn {turn_id} starts")
            return
        if body["id"] in turn.items:
            self._complain(f"item {body['id']} ({body['type']}) starts twice")
        turn.items[body["id"]] = MirroredItem(body=body, completed=False, growth=[(at, 0)])

    def _item_completed(self, turn_id: str, body: Item) -> None:
        turn = self.turns.get(turn_id)
        item = None if turn is None else turn.items.get(body["id"])
        if item is None:
            self._complain(f"item {body['id']} ({body['type']}) completes and never started")
            return
        if item.completed:
            self._complain(f"item {body['id']} ({body['type']}) completes twice")
        streamed = "".join(text for (method, _), text in sorted(item.texts.items()) if method.endswith("Message/delta"))
        if body["type"] == "agentMessage" and not body["text"].startswith(streamed):
            self._complain(f"message {body['id']} was streamed as {streamed!r} and completes as {body['text']!r}")
        item.body = body
        item.completed = True

    def _delta(self, method: str, params: dict[str, Any], offset: int, at: float) -> None:
        turn = self.turns.get(params["turnId"])
        item = None if turn is None else turn.items.get(params["itemId"])
        if item is None or item.completed:
            self._complain(f"{method} for item {params['itemId']}, which is not open")
            return
        index = DELTAS[method]
        key = (method, 0 if index is None else params[index])
        known, delta = item.texts.get(key, ""), params["delta"]
        overlap = known[offset : offset + len(delta)]
        if offset > len(known):
            self._complain(f"{method} of {params['itemId']} at {offset}, but only {len(known)} characters were told")
        elif not delta.startswith(overlap):
            self._complain(f"{method} of {params['itemId']} at {offset} contradicts what was told before")
        item.texts[key] = known[:offset] + delta
        item.growth.append((at, sum(map(len, item.texts.values()))))

    def _complain(self, words: str) -> None:
        self.complaints.append(words)

    # --- for whoever compares ---------------------------------------------------------------------------------------

    def ended(self, turn_id: str) -> bool:
        """Whether a turn is known to be over."""
        turn = self.turns.get(turn_id)
        return turn is not None and turn.status != "inProgress"

    def items(self) -> dict[str, MirroredItem]:
        """All items of all turns."""
        return {id_: item for turn in self.turns.values() for id_, item in turn.items.items()}

    def compare(self, thread: dict[str, Any]) -> list[str]:
        """How the thread as read differs from the thread as told."""
        found: list[str] = []
        read = {turn["id"]: turn for turn in thread["turns"]}
        if list(read) != list(self.turns):
            found.append(f"turns as read {list(read)}, as told {list(self.turns)}")
        for turn_id, mine in self.turns.items():
            theirs = read.get(turn_id)
            if theirs is None:
                continue
            if theirs["status"] != mine.status:
                found.append(f"turn {turn_id} is {theirs['status']} as read and {mine.status} as told")
            items = {item["id"]: item for item in theirs["items"]}
            if len(items) != len(theirs["items"]):
                found.append(f"turn {turn_id} has an item twice")
            if set(items) != set(mine.items):
                found.append(
                    f"turn {turn_id}: only read {_kinds(items, mine.items)}, "
                    f"only told {_kinds({id_: item.body for id_, item in mine.items.items()}, items)}"
                )
            found.extend(
                f"item {item_id} as read {items[item_id]}, as told {mine.items[item_id].body}"
                for item_id in sorted(items.keys() & mine.items.keys())
                if mine.items[item_id].completed and items[item_id] != mine.items[item_id].body
            )
        return found


def is_over(body: Item) -> bool:
    """Whether an item in a snapshot is complete."""
    return body.get("status") in OVER if "status" in body else body.get("completedAtMs") is not None


def _kinds(these: dict[str, Item], those: Any) -> list[str]:
    return [f"{id_} ({item['type']})" for id_, item in these.items() if id_ not in those]


def _turn(body: dict[str, Any]) -> MirroredTurn:
    turn = MirroredTurn(status=body["status"])
    for item in body["items"]:
        mirrored = MirroredItem(body=item, completed=is_over(item))
        if not mirrored.completed:
            mirrored.texts.update(_texts(item))
        turn.items[item["id"]] = mirrored
    return turn


def _texts(item: Item) -> dict[tuple[str, int], str]:
    """The texts so far of an item that a snapshot shows in progress."""
    match item["type"]:
        case "agentMessage":
            return {("item/agentMessage/delta", 0): item["text"]}
        case "reasoning":
            return {
                **{("item/reasoning/summaryTextDelta", at): text for at, text in enumerate(item.get("summary", ()))},
                **{("item/reasoning/textDelta", at): text for at, text in enumerate(item.get("content", ()))},
            }
        case "commandExecution":
            return {("item/commandExecution/outputDelta", 0): item.get("aggregatedOutput") or ""}
        case _:
            return {}
