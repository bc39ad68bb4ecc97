"""Many clients in one process: connections in one epoll, threads, turns, and the delay of every delta.

Used like blocking code: `call` and `wait` run the epoll until what they wait for has come. Nothing is measured by
waiting for it: times are taken where a message is handled.
"""

from __future__ import annotations

import contextlib
import select
import time
from array import array
from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec
from msgspec.json import Decoder

from actors.rehearsal.load import STAMP_CHARS
from bench.load.websocket import CLOSE, PING, PONG, RECEIVE_BYTES, FrameReader, WebSocketError, connect, frame

CALL_SECONDS = 30.0
"""For an answer. A daemon that needs longer has failed, not slowed down."""

NUMBER_AT, NUMBER_END = 14, 20
"""Where a delta's number stands, behind 14 hex digits of Unix microseconds."""


class _Turn(msgspec.Struct):
    id: str = ""
    status: str = ""
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Item(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Params(msgspec.Struct, rename="camel"):
    thread_id: str = ""
    delta: str = ""
    turn: _Turn | None = None
    item: _Item | None = None


class _Frame(msgspec.Struct):
    """As much of a message as the generator looks at."""

    method: str | None = None
    params: _Params | None = None
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw | None = None


_frames: Decoder[_Frame] = Decoder(_Frame)


class CallError(Exception):
    """The daemon answered with an error, or not at all."""


class Turn:
    """One turn as a client sees it. Times are time.perf_counter()."""

    __slots__ = (
        "_expected", "_rest", "_size", "_told", "answered_at", "completed_at", "delays", "deltas", "first_at", "id",
        "item_text", "items", "messages", "problem", "sent_at", "status",
    )  # fmt: skip

    def __init__(self, size: int, delays: array[float] | None) -> None:
        self.sent_at = time.perf_counter()
        self.answered_at = 0.0
        """When the request was answered."""
        self.first_at = 0.0
        """When the first delta came."""
        self.completed_at = 0.0
        self.id = ""
        self.status = ""
        self.deltas = 0
        """Of the model's deltas, how many have come whole."""
        self.messages = 0
        """Delta notifications: fewer than deltas if the daemon merged some."""
        self.items = 0
        """Items completed."""
        self.problem = ""
        self.item_text = ""
        self.delays = delays
        self._size = max(size, STAMP_CHARS)
        self._rest = ""
        self._told: list[str] = []
        self._expected = 0

    def on_delta(self, text: str, now_us: float) -> None:
        """Cut what came into the model's own deltas again."""
        self.messages += 1
        if not self.first_at:
            self.first_at = time.perf_counter()
        self._told.append(text)
        if self._rest:
            text = self._rest + text
        size, at = self._size, 0
        while len(text) - at >= size:
            if int(text[at + NUMBER_AT : at + NUMBER_END], 16) != self._expected:
                self.problem = self.problem or f"delta {self._expected} is missing or out of order"
            if self.delays is not None:
                self.delays.append(now_us - int(text[at : at + NUMBER_AT], 16))
            self._expected += 1
            at += size
        self._rest = text[at:]
        self.deltas = self._expected

    def on_completed(self, turn: _Turn) -> None:
        self.completed_at = time.perf_counter()
        self.status = turn.status
        if turn.status == "completed" and "".join(self._told) != self.item_text:
            self.problem = self.problem or "the item's text is not that of its deltas"
        if turn.status == "failed":
            self.problem = self.problem or bytes(turn.error).decode()[:300]
        self._told.clear()

    @property
    def seconds(self) -> float:
        """From the request to its completion."""
        return self.completed_at - self.sent_at


class Thread:
    """A thread on its connection."""

    __slots__ = ("connection", "id", "turn")

    def __init__(self, connection: Connection, thread_id: str) -> None:
        self.connection = connection
        self.id = thread_id
        self.turn: Turn | None = None


class Connection:
    """One client."""

    def __init__(self, load: Load) -> None:
        self.threads: dict[str, Thread] = {}
        self._load = load
        self.socket, rest = connect(load.host, load.port)
        self._reader = FrameReader()
        self._unsent = b""
        if rest:
            self.handle(self._reader.feed(rest))

    def send(self, message: object) -> None:
        """Requests are small, so they nearly always fit the socket; what does not is sent when it does."""
        data = self._unsent + frame(msgspec.json.encode(message))
        self._unsent = b""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._load.epoll.modify(self.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def on_event(self, events: int) -> None:
        if events & select.EPOLLOUT and self._unsent:
            data, self._unsent = self._unsent, b""
            with contextlib.suppress(BlockingIOError):
                data = data[self.socket.send(data) :]
            self._unsent = data
            if not data:
                self._load.epoll.modify(self.socket.fileno(), select.EPOLLIN)
        if events & ~select.EPOLLOUT:
            try:
                data = self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise WebSocketError("the daemon closed a connection")
            self.handle(self._reader.feed(data))

    def handle(self, messages: list[tuple[int, bytes]]) -> None:
        decode = _frames.decode
        for opcode, payload in messages:
            if opcode == PING:
                self.socket.send(frame(payload, PONG))
                continue
            if opcode == CLOSE:
                raise WebSocketError(f"the daemon closed a connection: {payload[2:].decode(errors='replace')}")
            message = decode(payload)
            if message.method is None:
                self._load.on_answer(message)
            elif message.id is not None:
                self.send({"id": message.id, "result": {"decision": "accept"}})
            elif message.params is not None:
                thread = self.threads.get(message.params.thread_id)
                if thread is not None and thread.turn is not None:
                    self._on_notification(message.method, message.params, thread.turn)

    def _on_notification(self, method: str, params: _Params, turn: Turn) -> None:
        if method == "item/agentMessage/delta":
            self._load.delivered -= turn.deltas
            turn.on_delta(params.delta, time.time_ns() / 1000)
            self._load.delivered += turn.deltas
        elif method == "item/completed":
            turn.items += 1
            if params.item is not None and params.item.type == "agentMessage":
                turn.item_text += params.item.text or ""
        elif method == "turn/completed" and params.turn is not None:
            turn.on_completed(params.turn)
            self._load.completed += 1


class Load:
    """All clients of one daemon."""

    def __init__(self, host: str, port: int, cwd: str) -> None:
        self.host = host
        self.port = port
        self.cwd = cwd
        self.epoll = select.epoll()
        self.connections: list[Connection] = []
        self.threads: list[Thread] = []
        self.delivered = 0
        """The model's deltas that have come, in all."""
        self.completed = 0
        """Turns that have completed, in all."""
        self._by_descriptor: dict[int, Connection] = {}
        self._answers: dict[int, Callable[[_Frame], None]] = {}
        self._next_id = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self.connections:
            connection.socket.close()
        self.connections.clear()
        self.threads.clear()
        self.epoll.close()

    # --- waiting ----------------------------------------------------------------------------------------------------

    def pump(self, seconds: float) -> None:
        """Handle what is there, waiting at most so long for it."""
        for descriptor, events in self.epoll.poll(max(0.0, seconds), 512):
            self._by_descriptor[descriptor].on_event(events)

    def wait(self, done: Callable[[], bool], seconds: float = CALL_SECONDS) -> bool:
        """Handle messages until ``done``; whether it came to that in time."""
        deadline = time.perf_counter() + seconds
        while not done():
            left = deadline - time.perf_counter()
            if left <= 0:
                return False
            self.pump(left)
        return True

    # --- requests ---------------------------------------------------------------------------------------------------

    def connect(self, count: int = 1) -> None:
        """Open so many more connections, each initialized. Raises WebSocketError, CallError."""
        for _ in range(count):
            connection = Connection(self)
            self.connections.append(connection)
            self._by_descriptor[connection.socket.fileno()] = connection
            self.epoll.register(connection.socket.fileno(), select.EPOLLIN)
            info = {"name": "bench", "title": None, "version": "1"}
            self.call(connection, "initialize", {"clientInfo": info, "capabilities": None})
            connection.send({"method": "initialized"})

    def call(self, connection: Connection, method: str, params: dict[str, Any]) -> msgspec.Raw:
        """Ask and wait for the result. Raises CallError."""
        answers: list[_Frame] = []
        self.ask(connection, method, params, answers.append)
        if not self.wait(lambda: bool(answers)):
            raise CallError(f"{method}: no answer within {CALL_SECONDS:g} s")
        if answers[0].error is not None:
            raise CallError(f"{method}: {bytes(answers[0].error).decode()}")
        return answers[0].result

    def ask(
        self, connection: Connection, method: str, params: dict[str, Any], on_answer: Callable[[_Frame], None]
    ) -> None:
        """Ask without waiting."""
        self._answers[self._next_id] = on_answer
        connection.send({"id": self._next_id, "method": method, "params": params})
        self._next_id += 1

    def on_answer(self, answer: _Frame) -> None:
        """Called by connections."""
        if isinstance(answer.id, int) and (waiting := self._answers.pop(answer.id, None)) is not None:
            waiting(answer)

    def start_thread(self, connection: Connection) -> Thread:
        """A new thread on this connection."""
        params = {"cwd": self.cwd, "approvalPolicy": "never", "sandbox": "danger-full-access"}
        result = msgspec.json.decode(self.call(connection, "thread/start", params))
        return self.adopt(connection, result["thread"]["id"])

    def adopt(self, connection: Connection, thread_id: str) -> Thread:
        """A thread that this connection watches."""
        thread = connection.threads[thread_id] = Thread(connection, thread_id)
        self.threads.append(thread)
        return thread

    def start_turn(self, thread: Thread, directive: str, *, size: int = 0, delays: array[float] | None = None) -> Turn:
        """Send ``load DIRECTIVE`` to the thread and go on; the turn fills itself in."""
        turn = thread.turn = Turn(size, delays)
        content = [{"type": "text", "text": f"load {directive}", "text_elements": []}]

        def on_answer(answer: _Frame) -> None:
            turn.answered_at = time.perf_counter()
            if answer.error is not None:
                turn.status, turn.problem = "refused", bytes(answer.error).decode()[:300]
                turn.completed_at = turn.answered_at
                self.completed += 1
            else:
                turn.id = msgspec.json.decode(answer.result)["turn"]["id"]

        self.ask(thread.connection, "turn/start", {"threadId": thread.id, "input": content}, on_answer)
        return turn

    def run_turn(self, thread: Thread, directive: str, *, size: int = 0) -> Turn:
        """A whole turn. Raises CallError if it does not complete."""
        turn = self.start_turn(thread, directive, size=size)
        if not self.wait(lambda: bool(turn.completed_at)):
            raise CallError(f"turn/start: not completed within {CALL_SECONDS:g} s")
        check((turn,))
        return turn

    def interrupt(self, thread: Thread) -> float:
        """Interrupt the running turn; seconds until its completion came. Raises CallError."""
        turn = thread.turn
        assert turn is not None, "there must be a turn to interrupt"
        asked_at = time.perf_counter()
        self.ask(thread.connection, "turn/interrupt", {"threadId": thread.id, "turnId": turn.id}, lambda _: None)
        if not self.wait(lambda: bool(turn.completed_at)):
            raise CallError(f"turn/interrupt: not completed within {CALL_SECONDS:g} s")
        if turn.status != "interrupted":
            raise CallError(f"turn/interrupt: the turn ended {turn.status}")
        return turn.completed_at - asked_at


def check(turns: Iterable[Turn]) -> None:
    """Raises CallError naming the first turn that did not go well."""
    for turn in turns:
        if turn.status != "completed" or turn.problem:
            raise CallError(f"a turn ended {turn.status or 'not at all'}: {turn.problem or 'no reason given'}")
