"""A model server in the test's own process: it plays what the test says, and remembers what it was asked.

Plain threads and blocking sockets, so that one server can outlive many event loops (a daemon shared by a module of
tests) and nothing of the code under test is used to test it. It speaks HTTP/1.1 with chunked server-sent events, as
providers do, and notices when the daemon hangs up.

A *play* is a function that is given the `Exchange` and says things on it. Which play answers is decided by the last
user message: the play registered for its first word, or `answer_plainly`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import msgspec

from actors.rollout_writer.validity import validate_history
from messages.base import CallId
from messages.items import HistoryItem, ItemKind

CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")

SCRIPT_RESULT = "<tool-calls-result "
"""How a user-role message begins that tells what a script came to."""

HANG_SECONDS = 30.0
"""Longer than any test waits: what hangs this long hangs for ever."""


class _Body(msgspec.Struct):
    input: list[msgspec.Raw]


class HangUp(Exception):  # noqa: N818  # no error: a play ends by it
    """Stop talking and break the connection."""


class Exchange:
    """One request, and the answer while it is given."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, serial: int) -> None:
        self._handler = handler
        self._begun = False
        self._events = 0
        self._output: list[dict[str, Any]] = []
        self.body = body
        self.request: dict[str, Any] = msgspec.json.decode(body)
        self.serial = serial
        self.client_port: int = handler.client_address[1]
        """Of the daemon's end of the connection."""
        self.finished = threading.Event()
        """The answer was given to its end, or the daemon hung up."""

    # --- what was asked ---------------------------------------------------------------------------------------------

    @property
    def input(self) -> list[dict[str, Any]]:
        """The history as it was sent."""
        items: list[dict[str, Any]] = self.request["input"]
        return items

    @property
    def user(self) -> str:
        """The text of the last user message."""
        return _text(self.input[self._user_index()]) if self.input else ""

    @property
    def since_user(self) -> list[dict[str, Any]]:
        """What followed the last user message."""
        return self.input[self._user_index() + 1 :]

    @property
    def round(self) -> int:
        """How many responses with calls or scripts were answered since the last user message."""
        answers = [item["type"] in OUTPUTS or _is_script_result(item) for item in self.since_user]
        return sum(answer and not after for answer, after in pairwise([*answers, False]))

    @property
    def script_results(self) -> list[str]:
        """What the model is told of its scripts since the last user message."""
        return [_text(item) for item in self.since_user if _is_script_result(item)]

    def output_of(self, call_id: str) -> str:
        """What a call came to, as the model is told."""
        found = next(item for item in self.input if item["type"] in OUTPUTS and item["call_id"] == call_id)
        output = found["output"]
        return output if isinstance(output, str) else "".join(part.get("text", "") for part in output)

    def history_problems(self) -> list[str]:
        """What a provider would refuse in this request."""
        raw = msgspec.json.decode(self.body, type=_Body).input
        return validate_history(_history_item(each) for each in raw)

    def _user_index(self) -> int:
        found = [
            index for index, item in enumerate(self.input) if item.get("role") == "user" and not _is_script_result(item)
        ]
        return found[-1] if found else -1

    # --- what is said -----------------------------------------------------------------------------------------------

    def status(self, code: int, body: bytes, content_type: str = "application/json") -> None:
        """A whole HTTP answer instead of a stream."""
        self._begun = True
        self._handler.send_response(code)
        self._handler.send_header("content-type", content_type)
        self._handler.send_header("content-length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def raw(self, data: bytes) -> None:
        """Bytes inside the stream, as they are."""
        self._begin()
        self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def event(self, type_: str, **fields: Any) -> None:
        """One server-sent event."""
        data = msgspec.json.encode({"type": type_, "sequence_number": self._events, **fields})
        self._events += 1
        self.raw(b"event: %b\ndata: %b\n\n" % (type_.encode(), data))

    def say(self, text: str, *, pieces: int = 1, pause: float = 0.0, finish: bool = True) -> None:
        """A message, in so many deltas with a pause before each."""
        size = -(-len(text) // pieces)
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        self.say_in_parts(parts, lambda: self.pause(pause), finish=finish)

    def say_in_parts(self, parts: Sequence[str], between: Callable[[], object], *, finish: bool = True) -> None:
        """A message in these deltas; ``between`` is called before each but the first."""
        id_ = f"msg_{self.serial}_{len(self._output)}"
        index = len(self._output)
        item: dict[str, Any] = {"id": id_, "type": "message", "status": "in_progress", "role": "assistant"}
        at = {"output_index": index, "item_id": id_, "content_index": 0}
        self.event("response.output_item.added", output_index=index, item={**item, "content": []})
        self.event("response.content_part.added", **at, part={"type": "output_text", "text": "", "annotations": []})
        for number, part in enumerate(parts):
            if number:
                between()
            self.event("response.output_text.delta", **at, delta=part)
        if finish:
            text = "".join(parts)
            whole = {"type": "output_text", "text": text, "annotations": []}
            self.event("response.output_text.done", **at, text=text)
            self.event("response.content_part.done", **at, part=whole)
            self._done(index, {**item, "status": "completed", "content": [whole]})

    def reason(self, text: str) -> None:
        """A reasoning item with a summary of one part."""
        id_ = f"rs_{self.serial}_{len(self._output)}"
        index = len(self._output)
        at = {"output_index": index, "item_id": id_, "summary_index": 0}
        part = {"type": "summary_text", "text": text}
        empty = {"id": id_, "type": "reasoning", "summary": []}
        self.event("response.output_item.added", output_index=index, item=empty)
        self.event("response.reasoning_summary_part.added", **at, part={**part, "text": ""})
        self.event("response.reasoning_summary_text.delta", **at, delta=text)
        self.event("response.reasoning_summary_text.done", **at, text=text)
        self.event("response.reasoning_summary_part.done", **at, part=part)
        self._done(index, {**empty, "summary": [part], "encrypted_content": f"opaque-{id_}"})

    def call(self, tool: str, arguments: dict[str, Any], call_id: str) -> None:
        """A function call."""
        text = msgspec.json.encode(arguments).decode()
        index = len(self._output)
        item: dict[str, Any] = {
            "id": f"fc_{self.serial}_{index}",
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": tool,
        }
        at = {"output_index": index, "item_id": item["id"]}
        self.event("response.output_item.added", output_index=index, item={**item, "arguments": ""})
        self.event("response.function_call_arguments.delta", **at, delta=text)
        self.event("response.function_call_arguments.done", **at, arguments=text)
        self._done(index, {**item, "status": "completed", "arguments": text})

    def script(self, *sources: str, before: str = "") -> None:
        """A message with a script in it, or with several."""
        blocks = "\n".join(f"<tool-calls>\n{source}\n</tool-calls>" for source in sources)
        self.say(f"{before}\n{blocks}", pieces=7)

    def run(self, command: str, call_id: str, **arguments: Any) -> None:
        """A call of exec_command. No login files are read, so that it takes the time of the command."""
        self.call("exec_command", {"cmd": command, "login": False, **arguments}, call_id)

    def patch(self, text: str, call_id: str) -> None:
        """A call of apply_patch."""
        index = len(self._output)
        item: dict[str, Any] = {
            "id": f"ctc_{self.serial}_{index}",
            "type": "custom_tool_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": "apply_patch",
        }
        at = {"output_index": index, "item_id": item["id"]}
        self.event("response.output_item.added", output_index=index, item={**item, "input": ""})
        self.event("response.custom_tool_call_input.delta", **at, delta=text)
        self.event("response.custom_tool_call_input.done", **at, input=text)
        self._done(index, {**item, "status": "completed", "input": text})

    def complete(self, *, input_tokens: int = 100, output_tokens: int = 10) -> None:
        """The terminal event and the end of the body."""
        usage = {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        }
        self.event("response.completed", response=self._response("completed", usage))
        self.end()

    def end(self) -> None:
        """The end of the body, with or without a terminal event before it."""
        self._begin()
        self._handler.wfile.write(b"0\r\n\r\n")

    def pause(self, seconds: float) -> None:
        """Say nothing for a while. Raises HangUp if the daemon hangs up meanwhile."""
        if seconds > 0 and self.wait_for_hang_up(seconds):
            raise HangUp

    def hang(self) -> None:
        """Say nothing until the daemon hangs up."""
        self._begin()
        self.wait_for_hang_up(HANG_SECONDS)
        raise HangUp

    def wait_for_hang_up(self, seconds: float) -> bool:
        """Whether the daemon closed the connection within so long."""
        connection = self._handler.connection
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([connection], [], [], left)
            if readable:
                with contextlib.suppress(BlockingIOError):
                    if not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                        return True
                time.sleep(min(left, 0.01))  # the next request, pipelined: it waits for its turn
        return False

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        self._handler.send_response(200)
        self._handler.send_header("content-type", "text/event-stream")
        self._handler.send_header("transfer-encoding", "chunked")
        self._handler.end_headers()
        self.event("response.created", response=self._response("in_progress", None))
        self.event("response.in_progress", response=self._response("in_progress", None))

    def _done(self, index: int, item: dict[str, Any]) -> None:
        self._output.append(item)
        self.event("response.output_item.done", output_index=index, item=item)

    def _response(self, status: str, usage: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": f"resp_{self.serial}",
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.request.get("model"),
            "output": self._output,
            "usage": usage,
        }


Play = Callable[[Exchange], None]


def answer_plainly(exchange: Exchange) -> None:
    """What is said to whatever nobody wrote a play for."""
    exchange.say("Understood.")
    exchange.complete()


class ScriptedModel:
    """The server. ``url`` is what ``--base-url`` wants."""

    def __init__(self) -> None:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                model._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                error = sys.exc_info()[1]
                if not isinstance(error, OSError):  # a daemon that hangs up is no error here
                    model.problems.append(f"the model itself failed: {error!r}")

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._plays: dict[str, Play] = {}
        self._lock = threading.Lock()
        self._serial = 0
        self._open: dict[int, Exchange] = {}
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.exchanges: list[Exchange] = []
        """Every request there was, in order of arrival."""
        self.problems: list[str] = []
        """Requests that a provider would have refused."""
        self._thread.start()

    def on(self, word: str, play: Play) -> None:
        """Let ``play`` answer to user messages that begin with ``word``."""
        self._plays[word] = play

    def choose(self, exchange: Exchange) -> Play:
        """Which play answers this request; a model that decides by something else overrides it."""
        return self._plays.get(exchange.user.split(" ")[0], answer_plainly)

    def asked(self, word: str) -> list[Exchange]:
        """The requests whose last user message begins with ``word``."""
        with self._lock:
            return [each for each in self.exchanges if each.user.split(" ")[0] == word]

    def open_exchanges(self) -> list[Exchange]:
        """Requests whose answer is still being given."""
        with self._lock:
            return list(self._open.values())

    def flags(self) -> list[str]:
        """What makes `callboard serve` use this model."""
        return ["--base-url", self.url, "--wire", "responses", "--model", "scripted"]

    def forget(self) -> None:
        """Drop what was remembered of requests that are over: a long run has many."""
        with self._lock:
            self.exchanges = list(self._open.values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self._lock:
            self._serial += 1
            exchange = Exchange(handler, body, self._serial)
            self.exchanges.append(exchange)
            self._open[exchange.serial] = exchange
            self.problems += [f"request {exchange.serial}: {problem}" for problem in exchange.history_problems()]
        try:
            self.choose(exchange)(exchange)
        except (HangUp, OSError):
            handler.close_connection = True
        finally:
            with self._lock:
                self._open.pop(exchange.serial, None)
            exchange.finished.set()


@contextlib.contextmanager
def scripted_model() -> Iterator[ScriptedModel]:
    """A model server for the length of a block."""
    model = ScriptedModel()
    try:
        yield model
    finally:
        model.close()


def _text(item: dict[str, Any]) -> str:
    content = item.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _is_script_result(item: dict[str, Any]) -> bool:
    return item.get("role") == "user" and _text(item).startswith(SCRIPT_RESULT)


def _history_item(raw: msgspec.Raw) -> HistoryItem:
    fields: dict[str, Any] = msgspec.json.decode(raw)
    known: dict[str, ItemKind] = {
        "message": "message",
        "reasoning": "reasoning",
        "function_call": "function_call",
        "function_call_output": "function_call_output",
        "custom_tool_call": "custom_tool_call",
        "custom_tool_call_output": "custom_tool_call_output",
        "compaction": "compaction",
    }
    call_id = fields.get("call_id")
    return HistoryItem(
        kind=known.get(fields.get("type", ""), "opaque"),
        raw=bytes(raw),
        call_id=None if call_id is None else CallId(call_id),
    )
