"""The client's side of a recorded conversation, played to a fresh daemon.

Each frame of a client is sent when what it had heard before has been heard again: answers, beginnings and ends of turns
and items, questions, and as much text. What does not come within `PATIENCE_SECONDS` is not waited for; the comparison
will say that it is missing. Ids that the server gave are replaced by those that this one gives, folders by this run's.

A question that was not asked in the recording is answered with yes: it is the comparison's to judge, and the
conversation should go on as recorded.
"""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio_websocket

from tests.conformance.deriving import Response, Scripts, derive, files_before, retries_of, rewritten, shell_script
from tests.conformance.past import PastThread, threads_of_the_past
from tests.conformance.recording import Recording
from tests.conformance.speaking import speak
from tests.conformance.transcripts import Frame, Line, Transcript, key_of
from tests.system.daemon import DaemonProcess
from tests.system.model import Exchange, Play, ScriptedModel
from tests.system.peer import Peer, RpcFailedError, connect

PATIENCE_SECONDS = 5.0
"""For what ought to come at once; commands of recordings take up to four seconds."""

QUIET_SECONDS = 0.4
"""After the last frame that was recorded: whatever else this daemon says to that, it says by then."""

GATE_SECONDS = 20.0
"""For the model to wait until a client has sent what it had sent in the recording."""

GATE_LOOK_SECONDS = 0.005

MAX_SECONDS = 90.0
"""For one recording; what takes longer waits for something that never comes, again and again."""

PROVIDER = "recorded"

MODES = {"workspaceWrite": "workspace-write", "readOnly": "read-only", "dangerFullAccess": "danger-full-access"}
"""The recorded server's own setting, from what the first thread was told."""

HISTORIAN = "historian"
"""The connection that makes what was there before a recording began."""

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture, where a client gave one."""

PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 0.5
"""A client that let so much time pass after the last frame waited for something that no frame tells."""

BEGINNINGS = ("initialize", "initialized")

INITIALIZE: Frame = {
    "clientInfo": {"name": "replay", "title": None, "version": "1.0"},
    "capabilities": {"experimentalApi": True},
}

NAMING = (
    "thread/start",
    "thread/resume",
    "thread/read",
    "thread/fork",
    "turn/",
    "review/",
    "thread/turns",
    "thread/items",
)
"""Methods whose answers tell ids and cursors that belong to what was asked; a list of all threads is in another order
on each machine."""

STRUCTURE = (
    "turn/started", "turn/completed", "item/started", "item/completed", "serverRequest/", "thread/closed",
    "thread/started", "error", "item/commandExecution/requestApproval", "item/fileChange/requestApproval",
    "command/exec/", "fuzzyFileSearch/", "item/tool/", "mcpServer/elicitation/",
)  # fmt: skip
"""What a client may have waited for; the rest accompanies it."""


@dataclass
class Replay:
    """What came of it."""

    recorded: Callable[[str], str]
    """Puts the recorded folders for this run's."""
    lines: list[Line] = field(default_factory=list)
    threads: dict[str, str] = field(default_factory=dict)
    """Our thread ids -> the recorded ones."""
    past: set[str] = field(default_factory=set)
    """Recorded ids of threads that were there before it began."""
    unsent: set[tuple[str, str]] = field(default_factory=set)
    """(connection, request id) of what a client would not have asked here."""
    unasked: set[str] = field(default_factory=set)
    """Ids of our items that were asked about without a recorded question."""
    problems: list[str] = field(default_factory=list)
    """Frames that break the schema, and requests that a provider would refuse."""
    validated: int = 0


# --- the model ------------------------------------------------------------------------------------------------------


class RecordedModel(ScriptedModel):
    """Says what the recorded model said, thread by thread."""

    def __init__(self, scripts: Scripts) -> None:
        super().__init__()
        self._responses = {
            thread: [response for turn in turns for response in turn.responses] for thread, turns in scripts.items()
        }
        self.threads: dict[str, str] = {}
        """Our thread ids -> the recorded ones."""
        self.sent = 0
        """How many frames the clients have sent."""

    def choose(self, exchange: Exchange) -> Play:
        recorded = self.threads.get(str(exchange.request.get("prompt_cache_key", "")), "")
        left = self._responses.get(recorded)
        response = left.pop(0) if left else Response()
        return lambda exchange: speak(exchange, response, lambda after: self._gate(exchange, after))

    def _gate(self, exchange: Exchange, after: int) -> None:
        waited = 0.0
        while self.sent < after and waited < GATE_SECONDS:
            exchange.pause(GATE_LOOK_SECONDS)
            waited += GATE_LOOK_SECONDS


# --- the clients ----------------------------------------------------------------------------------------------------


async def replay(
    transcript: Transcript, folder: Path, before: tuple[Line, ...] = (), homes: Sequence[str] = ()
) -> Replay:
    """Play it. ``folder`` is this replay's own; ``before`` was recorded before it, and is played and not kept;
    ``homes`` are the recorded server's, where the recording itself may not tell."""
    whole = Transcript(transcript.name, (*before, *transcript.lines))
    past = threads_of_the_past(whole)
    scripts = derive(whole)
    for thread in past:
        scripts[thread.id] = [*thread.scripts, *scripts.get(thread.id, [])]
    places = _Places(whole, folder, homes)
    places.prepare(whole)
    with closing(RecordedModel(rewritten(scripts, places.here))) as model:
        daemon = DaemonProcess(places.home)
        (places.home / "config.toml").write_text(_settings(whole, scripts, model))
        try:
            await trio.to_thread.run_sync(daemon.start)
            async with trio.open_nursery() as nursery:
                clients = _Clients(whole, model, daemon, places, nursery)
                with trio.move_on_after(MAX_SECONDS) as scope:
                    await clients.play(past, keep_from=len(before))
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(daemon.kill)
        result = clients.result
        if scope.cancelled_caught:
            result.problems.append(f"the replay did not end within {MAX_SECONDS:g} s")
        result.problems += [f"a provider would refuse {problem}" for problem in model.problems]
        result.threads = dict(model.threads)
        result.past = {thread.id for thread in past}
        return result


def _settings(transcript: Transcript, scripts: Scripts, model: ScriptedModel) -> str:
    """The user's file: the recorded server's model, by its recorded names, with as many attempts as it made."""
    opened: list[Frame] = [answer.frame["result"] for asked, answer in transcript.answers() if _opens(asked, answer)]  # type: ignore[index]  # _opens has looked
    told: list[Frame] = [params.get("threadSettings") or {} for params in transcript.told("thread/settings/updated")]
    provider = next((each["modelProvider"] for each in [*opened, *told] if each.get("modelProvider")), PROVIDER)
    name = next((each["model"] for each in [*opened, *told] if each.get("model")), "recorded-model")
    effort = next((each["reasoningEffort"] for each in opened if each.get("reasoningEffort")), None)
    sandbox = next((MODES[each["sandbox"]["type"]] for each in opened if each.get("sandbox")), MODES["workspaceWrite"])
    lines = [f'model = "{name}"', f'model_provider = "{provider}"', f'sandbox_mode = "{sandbox}"']
    if effort is not None:
        lines.append(f'model_reasoning_effort = "{effort}"')
    table = [f"[model_providers.{provider}]", f'base_url = "{model.url}"']
    return "\n".join([*lines, *table, f"request_max_retries = {retries_of(scripts)}", ""])


def _opens(asked: Line, answer: Line) -> bool:
    return asked.method in ("thread/start", "thread/resume") and "result" in (answer.frame or {})


class _Places:
    """The recorded folders and this run's for them."""

    def __init__(self, transcript: Transcript, folder: Path, homes: Sequence[str]) -> None:
        self.home = folder / "daemon"
        self.work = folder / "work"
        for place in (self.home, self.work):
            place.mkdir(parents=True)
        roots: dict[str, str] = dict.fromkeys(homes, str(self.home))
        for asked, answer in transcript.answers():
            result = (answer.frame or {}).get("result") or {}
            if asked.method == "initialize" and "codexHome" in result:
                roots.setdefault(result["codexHome"], str(self.home))
        for line in transcript.lines:
            if line.direction == "c2s":
                folder_ = str(line.params.get("cwd") or next(iter(line.params.get("roots") or []), ""))
                if folder_.startswith("/") and not any(place == str(self.work) for place in roots.values()):
                    roots.setdefault(folder_, str(self.work))
        for thread in threads_of_the_past(transcript):
            if thread.cwd and str(self.work) not in roots.values():
                roots[thread.cwd] = str(self.work)
        self._roots = sorted(roots.items(), key=lambda pair: -len(pair[0]))

    def here(self, text: str) -> str:
        """A recorded text with this run's folders."""
        for recorded, place in self._roots:
            text = text.replace(recorded, place)
        return text

    def recorded(self, text: str) -> str:
        """A text of this run with the recorded folders."""
        for recorded, place in self._roots:
            text = text.replace(place, recorded)
        return text

    def prepare(self, transcript: Transcript) -> None:
        """Make the files that were there."""
        for path, content in files_before(transcript).items():
            self._make(path, content.encode())
        if any((params.get("command") or [""])[0] == "git" for params in transcript.sent("command/exec")):
            self._make_repository()
        for line in transcript.lines:
            if line.direction == "s2c":
                for path in _found_files(line.frame):
                    self._make(path, b"hello\n")
        for method in ("turn/start", "turn/steer"):
            for params in transcript.sent(method):
                for part in params.get("input") or []:
                    if isinstance(part, dict) and part.get("type") == "localImage":
                        self._make(str(part["path"]), PIXEL)

    def _make_repository(self) -> None:
        git = ["git", "-C", str(self.work), "-c", "user.name=x", "-c", "user.email=x@example.invalid"]
        for command in (["init", "-q"], ["commit", "-qm", "first", "--allow-empty"]):
            subprocess.run([*git, *command], check=True)

    def _make(self, recorded: str, content: bytes) -> None:
        place = Path(self.here(recorded))
        if place.is_relative_to(self.work.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


class _Clients:
    """All connections of one recording."""

    def __init__(
        self,
        transcript: Transcript,
        model: RecordedModel,
        daemon: DaemonProcess,
        places: _Places,
        nursery: trio.Nursery,
    ) -> None:
        self.result = Replay(recorded=places.recorded)
        self._transcript = transcript
        self._model = model
        self._daemon = daemon
        self._places = places
        self._nursery = nursery
        self._peers: dict[str, Peer] = {}
        self._doors: dict[str, trio.Event] = {}
        self._ids: dict[str, Any] = {}
        """Recorded ids -> ours, of what the server made."""
        self._questions: dict[tuple[str, str], Any] = {}
        """(connection, recorded id of a question) -> our id of it."""
        self._open_questions = _questions(transcript)
        self._recorded_answers = {
            (line.conn, key_of((answer.frame or {})["id"])): answer.frame or {} for line, answer in transcript.answers()
        }
        self._recorded_questions = {
            (line.conn, key_of((line.frame or {})["id"])): line.method for line, _ in transcript.answers()
        }
        self._notices = _notices(transcript)
        self._heard: Counter[str] = Counter()
        self._wanted: Counter[str] = Counter()
        self._output_wanted: set[str] = set()
        self._output_heard: set[str] = set()
        self._news = trio.Event()
        self._recording = Recording()
        self._keeping = True
        self._items: dict[str, Frame] = {}
        self._hidden = 0

    async def play(self, past: list[PastThread], *, keep_from: int) -> None:
        """From the first line to the last, and until it is quiet."""
        self._keeping = False
        await self._live_the_past(past)
        await self._quiet()
        for number, line in enumerate(self._transcript.lines):
            if number == keep_from:
                if number:
                    await self._caught_up()
                    await self._quiet()
                self._keeping = True
            if line.direction == "s2c" and not line.is_end:
                for key, amount in _milestones(line, self._output_wanted):
                    self._wanted[key] += amount
                continue
            await self._caught_up()
            pause = line.at - self._transcript.lines[number - 1].at if number else 0.0
            if pause > PAUSE_SECONDS:
                await trio.sleep(min(pause, MAX_PAUSE_SECONDS))
            if line.is_end:
                await self._leave(line.conn)
            elif line.method == "thread/resume":
                await self._resume(line)
            else:
                await self._send(line)
            self._model.sent += 1
        await self._caught_up()
        await self._quiet()
        self.result.validated = self._recording.validated
        self.result.problems += self._recording.problems

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send(self, line: Line) -> None:
        peer = await self._peer(line)
        if line.text is not None:
            if self._keeping:
                self.result.lines.append(line)
            await peer.send_text(line.text)
            return
        frame = self._rewritten(line.frame)
        if isinstance(frame.get("params"), dict) and self._is_foreign(frame["params"].get("cursor")):
            self.result.unsent.add((line.conn, key_of(frame["id"])))
            return
        if line.is_answer:
            question = self._questions.get((line.conn, key_of(frame["id"])))
            if question is None:
                return  # it was not asked here; the comparison will say so
            frame = {**frame, "id": question}
        if self._keeping:
            self.result.lines.append(Line(line.conn, "c2s", frame=frame))
        self._recording.client_said(line.conn, msgspec.json.encode(frame))
        await peer.send(frame)

    async def _resume(self, line: Line) -> None:
        """Send it and hear its answer: a model that goes on before that may have ended when the client begins to watch."""
        answer = f"{line.conn} answer {key_of((line.frame or {})['id'])}"
        before = self._heard[answer]
        await self._send(line)
        with trio.move_on_after(PATIENCE_SECONDS):
            while self._heard[answer] == before:
                await self._news.wait()

    async def _peer(self, line: Line) -> Peer:
        """The connection of a line, opened and initialized if the recording begins behind that."""
        peer = self._peers.get(line.conn)
        if peer is None:
            peer = await self._nursery.start(self._connection, line.conn)
            self._peers[line.conn] = peer
            if line.method not in BEGINNINGS and line.text is None and self._starts_late(line.conn):
                keeping, self._keeping = self._keeping, False
                await self._ask(line.conn, "initialize", INITIALIZE)
                await peer.send({"method": "initialized"})
                await self._quiet()
                self._keeping = keeping
        return peer

    def _is_foreign(self, cursor: object) -> bool:
        """Whether a cursor is one that the recorded server gave and this one did not: no client would send it here."""
        known = {*self._ids.values()}
        return isinstance(cursor, str) and cursor not in known

    def _starts_late(self, conn: str) -> bool:
        return all(
            line.method != "initialize"
            for line in self._transcript.lines
            if line.conn == conn and line.direction == "c2s"
        )

    async def _ask(self, conn: str, method: str, params: Frame) -> Any:
        """A request that was not recorded. Raises RpcFailedError."""
        self._hidden += 1
        id_ = f"hidden-{self._hidden}"
        peer = self._peers[conn]
        after = len(peer.frames)
        await peer.send({"id": id_, "method": method, "params": params})
        frame = await peer.wait(lambda frame: frame.get("id") == id_, after, what=f"the answer to {method}")
        if "error" in frame:
            raise RpcFailedError(method, frame["error"])
        return frame["result"]

    async def _connection(self, conn: str, *, task_status: trio.TaskStatus[Peer]) -> None:
        door = self._doors[conn] = trio.Event()
        async with connect(self._daemon, initialize=False) as peer:
            self._nursery.start_soon(self._listen, conn, peer)
            task_status.started(peer)
            await door.wait()

    async def _leave(self, conn: str) -> None:
        if conn in self._doors:
            self._doors[conn].set()
            await self._peers[conn].closed.wait()

    def _rewritten(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._rewritten(key): self._rewritten(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._rewritten(each) for each in value]
        if isinstance(value, str):
            return self._ids.get(value) or self._places.here(value)
        return value

    # --- hearing ----------------------------------------------------------------------------------------------------

    async def _listen(self, conn: str, peer: Peer) -> None:
        async for frame in peer.all_frames():
            line = Line(conn, "s2c", frame=frame)
            if self._keeping and conn != HISTORIAN:
                self.result.lines.append(line)
            self._recording.server_said(conn, msgspec.json.encode(frame))
            for key, amount in _milestones(line, self._output_heard):
                self._heard[key] += amount
            self._learn(line)
            if line.is_request:
                await self._question(line, peer)
            news, self._news = self._news, trio.Event()
            news.set()

    def _learn(self, line: Line) -> None:
        """Which of our ids stand for which recorded ones."""
        frame = line.frame or {}
        item = line.params.get("item")
        if isinstance(item, dict):
            self._items[str(item.get("id"))] = item
        if line.is_answer:
            recorded = self._recorded_answers.get((line.conn, key_of(frame["id"])))
            asked = self._recorded_questions.get((line.conn, key_of(frame["id"])), "")
            if recorded is not None and "result" in frame and asked.startswith(NAMING):
                self._pair(recorded.get("result"), frame["result"])
        elif not line.is_request:
            thread = self._model.threads.get(str(line.params.get("threadId")))
            notices = self._notices.get(_notice(line, thread or ""))
            if notices:
                self._pair(notices.pop(0).get("params"), frame.get("params"))

    def _pair(self, recorded: Any, ours: Any) -> None:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            thread, our_thread = recorded.get("thread"), ours.get("thread")
            if isinstance(thread, dict) and isinstance(our_thread, dict) and "id" in thread and "id" in our_thread:
                self._model.threads.setdefault(our_thread["id"], thread["id"])
            for key, value in recorded.items():
                if key in ours and (key == "id" or key.endswith(("Id", "Cursor"))) and isinstance(value, str):
                    self._ids.setdefault(value, ours[key])
                elif key in ours:
                    self._pair(value, ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for theirs, our in zip(recorded, ours, strict=False):
                self._pair(theirs, our)

    async def _question(self, line: Line, peer: Peer) -> None:
        """Find it in the recording; what was not asked there is answered with yes."""
        frame = line.frame or {}
        about = self._places.recorded(_about(line.method, line.params, self._items))
        recorded = self._open_questions.get((line.conn, about))
        if recorded:
            self._questions[line.conn, recorded.pop(0)] = frame["id"]
            return
        if any(conn != line.conn and asked == about for conn, asked in self._all_asked()):
            return  # asked of others in the recording, and one of them answered
        self.result.unasked.add(str(line.params.get("itemId")))
        with contextlib.suppress(trio_websocket.ConnectionClosed):
            await peer.answer(frame, {"decision": "accept"})

    def _all_asked(self) -> Iterable[tuple[str, str]]:
        return self._open_questions.keys()

    # --- waiting ----------------------------------------------------------------------------------------------------

    def _lacking(self) -> list[str]:
        return [key for key, amount in self._wanted.items() if self._heard[key] < amount]

    async def _caught_up(self) -> None:
        """Until all that clients had heard by now has been heard, or it does not come."""
        with trio.move_on_after(PATIENCE_SECONDS):
            while self._lacking():
                await self._news.wait()
        for key in self._lacking():
            self._wanted[key] = self._heard[key]

    async def _quiet(self) -> None:
        deadline = trio.current_time() + PATIENCE_SECONDS
        while trio.current_time() < deadline:
            with trio.move_on_after(QUIET_SECONDS) as scope:
                await self._news.wait()
            if scope.cancelled_caught:
                return

    # --- what was there before --------------------------------------------------------------------------------------

    async def _live_the_past(self, past: list[PastThread]) -> None:
        """Make the threads that the recording speaks of and does not start, with the turns they had."""
        for thread in past:
            start = next((line for line in self._transcript.lines if line.conn == thread.conn), None)
            if start is None:
                continue
            peer = await self._peer(start) if self._starts_late(thread.conn) else await self._historian()
            conn = thread.conn if self._starts_late(thread.conn) else HISTORIAN
            opened = await self._ask(conn, "thread/start", {"cwd": self._places.here(thread.cwd) or None})
            ours = str(opened["thread"]["id"])
            self._ids[thread.id], self._model.threads[ours] = ours, thread.id
            for turn_id, message in thread.turns:
                turn = {"input": self._rewritten(message["content"]), "clientUserMessageId": message.get("clientId")}
                started = await self._ask(conn, "turn/start", {"threadId": ours, **turn})
                if turn_id:
                    self._ids[turn_id] = started["turn"]["id"]
                await peer.turn_completed(started["turn"]["id"])
            if thread.settings:
                settings = self._rewritten(thread.settings)
                await self._ask(conn, "thread/settings/update", {"threadId": ours, **settings})
            if thread.name is not None:
                await self._ask(conn, "thread/name/set", {"threadId": ours, "name": thread.name})

    async def _historian(self) -> Peer:
        if HISTORIAN not in self._peers:
            self._peers[HISTORIAN] = await self._nursery.start(self._connection, HISTORIAN)
            await self._ask(HISTORIAN, "initialize", INITIALIZE)
        return self._peers[HISTORIAN]


def _found_files(value: Any) -> Iterable[str]:
    """Files that a search found: a member ``path`` beside a member ``root``."""
    if isinstance(value, dict):
        if isinstance(value.get("root"), str) and isinstance(value.get("path"), str):
            yield f"{value['root']}/{value['path']}"
        for each in value.values():
            yield from _found_files(each)
    elif isinstance(value, list):
        for each in value:
            yield from _found_files(each)


# --- what a recording says of itself --------------------------------------------------------------------------------


def _milestones(line: Line, printing: set[str]) -> Iterable[tuple[str, int]]:
    """What a client may have waited for: the names of it, and how much of it. ``printing``: commands known to print,
    for that a command has begun to print is the sign that it runs."""
    if line.is_answer:
        yield f"{line.conn} answer {key_of((line.frame or {})['id'])}", 1
    elif line.method.startswith(STRUCTURE):
        item = line.params.get("item")
        yield f"{line.conn} {line.method} {item.get('type') if isinstance(item, dict) else ''}", 1
    elif line.method.startswith(("item/agentMessage/delta", "item/reasoning/")):
        yield f"{line.conn} {line.method}", len(str(line.params.get("delta", "")))
    elif line.method == "item/commandExecution/outputDelta":
        item_id = f"{line.conn} {line.params.get('itemId')}"
        if item_id not in printing:
            printing.add(item_id)
            yield f"{line.conn} {line.method}", 1


def _notice(line: Line, thread: str) -> tuple[str, ...]:
    item = line.params.get("item")
    return line.conn, thread, line.method, str(item.get("type")) if isinstance(item, dict) else ""


def _notices(transcript: Transcript) -> dict[tuple[str, ...], list[Frame]]:
    """What was told of each thread, kind by kind, in order."""
    found: dict[tuple[str, ...], list[Frame]] = {}
    for line in transcript.lines:
        if line.direction == "s2c" and line.method and not line.is_request and "threadId" in line.params:
            found.setdefault(_notice(line, str(line.params["threadId"])), []).append(line.frame or {})
    return found


def _questions(transcript: Transcript) -> dict[tuple[str, str], list[str]]:
    """(connection, what it is about) -> the ids of the questions, in order."""
    items: dict[str, Frame] = {}
    found: dict[tuple[str, str], list[str]] = {}
    for line in transcript.lines:
        if line.direction != "s2c":
            continue
        item = line.params.get("item")
        if isinstance(item, dict):
            items[str(item.get("id"))] = item
        if line.is_request:
            about = _about(line.method, line.params, items)
            found.setdefault((line.conn, about), []).append(key_of((line.frame or {})["id"]))
    return found


def _about(method: str, params: Frame, items: dict[str, Frame]) -> str:
    item = items.get(str(params.get("itemId")), {})
    if "command" in params:
        return f"{method} {shell_script(str(params['command']))}"
    return f"{method} {[change.get('path') for change in item.get('changes') or []]}"
