"""The Responses API over WebSocket (`responses_websockets`), from the server's side: the rehearsed model on a line.

As OpenAI's: a client sends ``response.create``, with the fields of a request's body; what comes back are the events of
an event stream, one in each message. The latest response of a connection is kept in its memory, also for a request that
is not stored, so the next one may name it as ``previous_response_id`` and bring only what is new.
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from actors.model_stream.frames import CLOSE, PING, PONG, TEXT, FrameError, FrameReader, accept_of, frame
from actors.model_stream.sse import SseDecoder
from actors.ports.network import ByteStream
from actors.rehearsal.server import Request

GOODBYE = (1000).to_bytes(2)
WAITING = 8
"""Messages a client may send ahead; it is to wait for an answer before it asks again."""


def wants_line(request: Request) -> bool:
    """Whether this request is a WebSocket handshake."""
    return request.method == "GET" and request.headers.get("upgrade", "").lower() == "websocket"


def welcome(request: Request) -> bytes:
    """The answer to the handshake."""
    accept = accept_of(request.headers.get("sec-websocket-key", ""))
    return (
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        f"sec-websocket-accept: {accept}\r\n\r\n"
    ).encode("ascii")


class MessageError(Exception):
    """What came is no request; the text says why, ``code`` is what the API calls it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def event(self) -> bytes:
        """As the API says it."""
        error = {"type": "invalid_request_error", "code": self.code, "message": str(self), "param": None}
        return msgspec.json.encode({"type": "error", "status": 400, "error": error})


class Memory:
    """What a connection remembers: its latest response, and all that led to it."""

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._input: list[Any] = []

    def whole(self, text: bytes) -> dict[str, Any]:
        """The request as it would have come by HTTP. Raises MessageError."""
        try:
            fields = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise MessageError("invalid_json", f"not JSON: {error}") from error
        if not isinstance(fields, dict) or fields.pop("type", None) != "response.create":
            raise MessageError("unknown_event", "the rehearsed model knows response.create")
        if "stream" in fields or "background" in fields:
            raise MessageError("unsupported_parameter", "stream and background have no place on a line")
        asked = fields.pop("input", None)
        said = asked if isinstance(asked, list) else []
        previous = fields.pop("previous_response_id", None)
        if previous is not None and previous != self._response_id:
            raise MessageError("previous_response_not_found", f"Previous response with id {previous!r} not found.")
        whole: dict[str, Any] = {}
        for name, value in fields.items():  # in our own client's order: asked again by HTTP, it is the same request
            whole[name] = value
            if name == "store":
                whole["stream"] = True
        return {**whole, "stream": True, "input": [*self._input, *said] if previous is not None else said}

    def keep(self, whole: dict[str, Any], response: dict[str, Any]) -> None:
        """The answer has been given; one that came to nothing is forgotten."""
        if response.get("status") == "completed":
            self._response_id, self._input = str(response["id"]), [*whole["input"], *response["output"]]
        else:
            self._response_id, self._input = None, []


class ServerLine:
    """A connection behind its handshake."""

    def __init__(self, stream: ByteStream) -> None:
        self.memory = Memory()
        self._stream = stream
        self._frames = FrameReader(masked=True)
        self._send, self.messages = trio.open_memory_channel[bytes](WAITING)

    async def listen(self, early: bytes) -> None:
        """Take what the client says until it leaves; what it asks for is in `messages`. Raises FrameError."""
        async with self._send:
            data = early
            while True:
                for opcode, payload in self._frames.feed(data):
                    if opcode == PING:
                        await self._stream.send_all(frame(payload, PONG))
                    elif opcode == CLOSE:
                        await self._stream.send_all(frame(payload[:2] or GOODBYE, CLOSE))
                        return
                    elif opcode != PONG:
                        await self._send.send(payload)
                data = await self._stream.receive_some()
                if not data:
                    return

    async def say(self, event: bytes) -> None:
        """One event."""
        await self._stream.send_all(frame(event, TEXT))


class Framer:
    """The events of an event stream as messages."""

    def __init__(self) -> None:
        self._sse = SseDecoder()

    def frames(self, data: bytes) -> bytes:
        """The messages that are whole now."""
        return b"".join(frame(event.data, TEXT) for event in self._sse.feed(data))


__all__ = ["FrameError", "Framer", "Memory", "MessageError", "ServerLine", "wants_line", "welcome"]
