"""HTTP/1.1 from the server's side, as much as a model server needs: read requests, write heads and chunks.

Sans-IO on httptools (llhttp), as its counterpart in `actors.model_stream.http` is.
"""

from __future__ import annotations

from collections import deque
from http import HTTPStatus

import httptools
import msgspec

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, as our client allows for a response's."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Of a request: a long history with images."""

LAST_CHUNK = b"0\r\n\r\n"


class RequestError(Exception):
    """What came is no request we take. ``status`` is what to answer before hanging up."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    method: str
    path: str
    """Without the query."""
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes
    keep_alive: bool


class RequestReader:
    """Reads the requests of one connection. `feed` bytes, `take` requests."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._ready: deque[Request] = deque()
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0
        self._problem: RequestError | None = None
        self.beyond: bytes | None = None
        """After a handshake: what came behind it, in another protocol."""

    def feed(self, data: bytes) -> None:
        """Raises RequestError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.beyond = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise self._problem or RequestError(400, f"not HTTP/1.1: {error}") from error
        if self._problem is not None:
            raise self._problem

    def take(self) -> Request | None:
        """The next request that is whole."""
        return self._ready.popleft() if self._ready else None

    # --- called by httptools ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._body = []
        self._head_bytes = self._body_bytes = 0

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._count_head(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._count_head(len(name) + len(value))

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes > MAX_BODY_BYTES:
            self._problem = RequestError(413, f"the request has more than {MAX_BODY_BYTES} bytes")
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        self._ready.append(
            Request(
                method=self._parser.get_method().decode("ascii", "replace"),
                path=self._target.decode("latin-1").partition("?")[0],
                headers=self._headers,
                body=b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._problem = RequestError(431, f"the request's head has more than {MAX_HEAD_BYTES} bytes")


def stream_head() -> bytes:
    """The head of a streamed answer; chunks follow."""
    return _head(
        200, {"content-type": "text/event-stream", "cache-control": "no-cache", "transfer-encoding": "chunked"}
    )


def chunk(data: bytes) -> bytes:
    """One piece of a streamed answer; `LAST_CHUNK` ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, body: bytes, *, headers: dict[str, str] | None = None) -> bytes:
    """A whole answer."""
    return (
        _head(status, {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}) + body
    )


def error(status: int, code: str, message: str) -> bytes:
    """An error as OpenAI words them."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return whole(status, msgspec.json.encode(body))


def _head(status: int, headers: dict[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
