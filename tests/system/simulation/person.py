"""Somebody who uses the daemon and does not give up: connects again, asks again, answers when asked again.

A *play* is what the person wants, as a coroutine over idempotent verbs. When the connection breaks, or the daemon
dies, the play is begun anew on the next connection; what was done before is done by the same submission ids, and so
must not be done twice.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from messages.client.envelope import INTERNAL_ERROR
from tests.system.simulation.machine import HOST, PORT, WORKSPACE, Machine
from tests.system.simulation.mirror import QUESTIONS, Frame, Mirror
from tests.system.simulation.websocket import GoneError, WebSocket, open_websocket

RETRY_SECONDS = 0.05

BARRIERS = ("turn/completed", "serverRequest/resolved", *QUESTIONS)
"""When one of these was heard, everything heard before it is on the disk for good."""


GOING = ("is shutting down", "is being closed")
"""In the words of a daemon that stops: come again when it is up."""


class RefusedError(Exception):
    """The daemon answered with an error."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error['code']} {error['message']}")
        self.code = error["code"]
        self.message = error["message"]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How somebody behaves."""

    decide: Callable[[Frame], str] = lambda _: "accept"
    """The answer to a question."""
    thinking_seconds: float = 0.1
    """Before it."""
    read_pause_seconds: float = 0.0
    read_bytes: int | None = None
    """A slow client takes so much at a time, with such pauses."""


@dataclass
class Meeting:
    """What the people on one thread agree on."""

    thread_id: str | None = None
    created: int = 0
    changed: trio.Event = field(default_factory=trio.Event)

    def announce(self, thread_id: str | None) -> None:
        """This is the thread now."""
        self.thread_id = thread_id
        self.created += thread_id is not None
        self.changed.set()
        self.changed = trio.Event()


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A frame that came."""

    at: float
    life: int
    frame: Frame
    answering: str | None
    """The method of the request that this answers."""


Play = Callable[["Person"], Awaitable[None]]


class Person:
    """One client program."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        play: Play,
        meeting: Meeting,
        *,
        habits: Habits,
        settings: dict[str, Any],
        interrupts: bool = False,
        full_disks: int = 0,
    ) -> None:
        self.machine = machine
        self.name = name
        self.mirror = Mirror()
        self.heard: list[Heard] = []
        self.completed: dict[str, dict[str, Any]] = {}
        """Items shown completed, as they were shown."""
        self.durable: set[str] = set()
        """Those of them that power loss must not take, because a barrier was heard behind them."""
        self.accepted: dict[str, str] = {}
        """Submission -> turn, as answered."""
        self.views: dict[str, dict[str, Any]] = {}
        """The thread as read at the end."""
        self.thread_lost = False
        """The power took it, before anything passed a barrier."""
        self.wordless: set[str] = set()
        """Submissions that bring no message of a user into their turn."""
        self.unkept: set[str] = set()
        """Submissions accepted while the log took no more."""
        self.mirror_stale = False
        """The daemon died since the thread was opened: what it shows was judged then."""
        self.attached_at_stop = False
        """Was there, on the thread, when the daemon was asked to stop."""
        self.done = trio.Event()
        self.meeting = meeting
        self.interrupts = interrupts
        """Whether turns may end as interrupted because people want it."""
        self.full_disks = full_disks
        self.companion: Person | None = None
        self.random = random.Random(f"{machine.seed}/{name}")
        self.step = ""
        """What is being done, for whoever asks why it takes so long."""
        self._play = play
        self._habits = habits
        self._settings = settings
        self._socket: WebSocket | None = None
        self._asked: dict[int, tuple[str, trio.Event]] = {}
        self._answers: dict[int, Frame] = {}
        self._next_id = 0
        self._news = trio.Event()
        self._nursery: trio.Nursery | None = None

    # --- life -------------------------------------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """Watches the thread now."""
        return self._socket is not None and not self.mirror_stale and self.meeting.thread_id is not None

    async def live(self) -> None:
        """Until the play is done."""
        network = self.machine.world.outside.network
        while not self.done.is_set():
            try:
                stream = await network.connect(HOST, PORT)
            except OSError:
                await trio.sleep(RETRY_SECONDS)
                continue
            try:
                entropy = self.machine.world.outside.entropy
                socket = await open_websocket(stream, entropy, f"{HOST}:{PORT}", self.machine.token())
            except GoneError as gone:
                self.step = f"connecting again: {gone}"
                await trio.sleep(RETRY_SECONDS)
                continue
            try:
                await self._visit(socket)
            except* GoneError:
                await trio.sleep(RETRY_SECONDS)
            finally:
                stream.close_now()

    async def _visit(self, socket: WebSocket) -> None:
        self._socket = socket
        self._asked.clear()
        self._answers.clear()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._listen, socket)
                await self.ask("initialize", {"clientInfo": {"name": self.name, "version": "1.0"}})
                await self._play(self)
                self.done.set()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = self._socket = None

    async def _listen(self, socket: WebSocket) -> None:
        habits = self._habits
        while True:
            text = await socket.receive(pause_seconds=habits.read_pause_seconds, max_bytes=habits.read_bytes)
            frame = msgspec.json.decode(text)
            asked = self._asked.get(frame["id"]) if "method" not in frame else None
            answering = None if asked is None else asked[0]
            self.heard.append(Heard(at=trio.current_time(), life=self.machine.life, frame=frame, answering=answering))
            self._hear(frame)
            self._news.set()
            self._news = trio.Event()

    def _hear(self, frame: Frame) -> None:
        if "method" not in frame:
            asked = self._asked.pop(frame["id"], None)
            if asked is None:
                self.complain(f"an answer to the request {frame['id']}, which was not asked")
                return
            if asked[0] in ("thread/start", "thread/resume") and "result" in frame:
                # Here and not by the asker: what follows this answer in the same read belongs behind it.
                self._opened(asked[0], frame["result"])
            self._answers[frame["id"]] = frame
            asked[1].set()
            return
        if frame["method"] == "callboard/eventsSkipped":
            self.complain(f"events were skipped: {frame['params']}")
        if frame["params"].get("threadId") != self.meeting.thread_id or "threadId" not in frame["params"]:
            return
        told, seq = len(self.mirror.complaints), self.mirror.seq
        self.mirror.hear(frame, trio.current_time())
        for words in self.mirror.complaints[told:]:
            self.complain(words)
        match frame["method"]:
            case "item/completed":
                item = frame["params"]["item"]
                if self.machine.has_room.is_set():
                    # What is shown when the log takes no more comes with an error that says so.
                    self.completed[item["id"]] = item
            case "turn/completed":
                self._look_for_leftovers(frame["params"]["turn"]["id"])
        # A question that is asked again at an attachment stands behind an old barrier.
        if frame["method"] in BARRIERS and self.mirror.seq > seq and self.machine.has_room.is_set():
            self._barrier(frame["method"])
        if frame["method"] in QUESTIONS and self._nursery is not None:
            self._nursery.start_soon(self._answer, frame)

    def _opened(self, method: str, answer: dict[str, Any]) -> None:
        thread_id = answer["thread"]["id"]
        if method == "thread/start":
            self.meeting.announce(thread_id)
        self.mirror.opened(answer)
        self.mirror_stale = False

    def _barrier(self, method: str) -> None:
        """What was heard so far must survive everything."""
        on_disk = self.machine.durable_log(self.meeting.thread_id or "")
        for item_id in self.completed.keys() - self.durable:
            if item_id.encode() not in on_disk:
                self.complain(f"item {item_id} was shown before {method}, and power loss would take it")
        self.durable.update(self.completed)

    def _look_for_leftovers(self, turn_id: str) -> None:
        items = self.mirror.items()
        for key in (executed.key for executed in self.machine.executed if executed.life == self.machine.life):
            _, turn, item_id = key.split("/")
            item = items.get(item_id)
            if turn == turn_id and item is not None and item.completed and self._runs(key):
                self.complain(f"turn {turn_id} ended, its item {item_id} is complete, and its process still runs")

        for process in self.machine.world.scripts.running():
            if process.context.get("turnId") == turn_id:
                self.complain(f"turn {turn_id} ended, and a script of it still runs (worker {process.number})")

    def _runs(self, key: str) -> bool:
        return key in self.machine.running_keys()

    def complain(self, words: str) -> None:
        """A law is broken."""
        self.machine.complain(f"{self.name}: {words}")

    # --- verbs ------------------------------------------------------------------------------------------------------

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        """A request and its result. Raises RefusedError, GoneError."""
        self.step = f"asking {method}"
        self._next_id += 1
        id_, answered = self._next_id, trio.Event()
        self._asked[id_] = (method, answered)
        assert self._socket is not None, "asked in a visit"
        await self._socket.send(msgspec.json.encode({"id": id_, "method": method, "params": params}))
        await answered.wait()
        frame = self._answers.pop(id_)
        if "error" in frame:
            refused = RefusedError(method, frame["error"])
            if self._may_be_refused(refused):
                await trio.sleep(RETRY_SECONDS)
                raise GoneError(refused.message)
            raise refused
        return frame["result"]

    def _may_be_refused(self, refused: RefusedError) -> bool:
        """Whether to come again: the daemon stops, or it is known to be in trouble and says so."""
        in_trouble = bool(self.machine.struck) or not self.machine.has_room.is_set()
        return any(words in refused.message for words in GOING) or (in_trouble and refused.code == INTERNAL_ERROR)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something is so, as far as one can tell from what one is told."""
        self.step = f"waiting until {what}"
        while not holds():
            await self._news.wait()

    async def attend(self) -> None:
        """Be on the thread: make it if nobody has, else watch it."""
        while True:
            if self.meeting.thread_id is None:
                await self.ask("thread/start", {"cwd": WORKSPACE, **self._settings})
                return
            try:
                await self._resume(self.meeting.thread_id)
            except RefusedError as refused:
                if not self.thread_lost:
                    self.complain(f"a thread that was shown cannot be opened: {refused}")
                    raise
                self.forget_thread()
            else:
                return

    async def join(self) -> None:
        """Watch the thread that somebody else makes."""
        while self.meeting.thread_id is None:
            self.step = "waiting for a thread"
            await self.meeting.changed.wait()
        try:
            await self._resume(self.meeting.thread_id)
        except RefusedError:
            # It was lost with the power; its maker makes another.
            raise GoneError("no such thread any more") from None

    def forget_thread(self) -> None:
        """It is gone, and rightly so."""
        self.thread_lost = False
        self.meeting.announce(None)
        self.mirror = Mirror()
        self.completed.clear()
        self.accepted.clear()

    async def turn(self, text: str, submission: str) -> str:
        """Have this submission's turn started and see it end; how it ended."""
        await self.submit(text, submission)
        return await self.ended(submission)

    async def submit(self, text: str, submission: str) -> str:
        """Start (or steer) a turn; the same submission is never more than one. The turn's id."""
        params = {
            "threadId": self.meeting.thread_id,
            "input": [{"type": "text", "text": text}],
            "clientUserMessageId": submission,
        }
        turn_id: str = (await self.ask("turn/start", params))["turn"]["id"]
        self._accept(submission, turn_id)
        return turn_id

    def _accept(self, submission: str, turn_id: str) -> None:
        before = self.accepted.get(submission)
        if before not in (None, turn_id):
            self.complain(f"the submission {submission!r} was turn {before} and is turn {turn_id}")
        self.accepted[submission] = turn_id
        if not self.machine.has_room.is_set():
            self.unkept.add(submission)

    async def run_script(self, source: str, submission: str) -> str:
        """Run a script of one's own as a turn; the same submission is never more than one. The turn's id."""
        params = {"threadId": self.meeting.thread_id, "source": source, "clientUserMessageId": submission}
        self.wordless.add(submission)
        turn_id: str = (await self.ask("callboard/script/run", params))["turn"]["id"]
        self._accept(submission, turn_id)
        return turn_id

    async def ended(self, submission: str) -> str:
        """See a submitted turn end; how it ended."""
        turn_id = self.accepted[submission]
        await self.until(lambda: self.mirror.ended(turn_id), f"turn {turn_id} ({submission}) ends")
        return self.mirror.turns[turn_id].status

    async def interrupt(self, submission: str) -> None:
        """Stop a submitted turn if it still runs."""
        turn_id = self.accepted[submission]
        try:
            await self.ask("turn/interrupt", {"threadId": self.meeting.thread_id, "turnId": turn_id})
        except RefusedError as refused:
            if "no active turn" not in refused.message and "expected active turn" not in refused.message:
                raise

    async def read(self) -> dict[str, Any]:
        """The thread as it stands."""
        answer = await self.ask("thread/read", {"threadId": self.meeting.thread_id, "includeTurns": True})
        thread: dict[str, Any] = answer["thread"]
        self.views[thread["id"]] = thread
        return thread

    async def companion_done(self) -> None:
        """Be there until the other one is done."""
        assert self.companion is not None, "there is another"
        self.step = "waiting for the other one"
        await self.companion.done.wait()

    def knows_all(self) -> bool:
        """Whether one has been told of the end of all turns that the other one submitted."""
        assert self.companion is not None, "there is another"
        return all(self.mirror.ended(turn_id) for turn_id in self.companion.accepted.values())

    def expect(self, holds: bool, words: str) -> None:
        """Complain unless it is so."""
        if not holds:
            self.complain(words)

    def open_commands(self) -> int:
        """How many commands are shown as running."""
        return sum(
            1 for item in self.mirror.items().values() if item.body["type"] == "commandExecution" and not item.completed
        )

    async def _resume(self, thread_id: str) -> None:
        params: dict[str, Any] = {"threadId": thread_id}
        if self.mirror.epoch is not None:
            params["callboard"] = {"epoch": self.mirror.epoch, "afterSeq": self.mirror.seq}
        await self.ask("thread/resume", params)

    async def _answer(self, question: Frame) -> None:
        await trio.sleep(self._habits.thinking_seconds)
        if question["id"] not in self.mirror.questions or self._socket is None:
            return  # somebody else was faster
        decision = self._habits.decide(question)
        await self._socket.send(msgspec.json.encode({"id": question["id"], "result": {"decision": decision}}))
