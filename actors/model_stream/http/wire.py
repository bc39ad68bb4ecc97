"""One request to bytes, and bytes to its response. Sans-IO: nothing here waits or reads.

httptools' llhttp decides where a body ends (RFC 9112 §6.3) and refuses what smugglers use (both Content-Length and
Transfer-Encoding, two lengths, folded headers). What it leaves to us: interim responses (1xx), HEAD, bodies that last
until the connection ends, limits, and data after the end.
"""

from __future__ import annotations

import httptools
import httpx2

MAX_HEAD_BYTES = 64 * 1024
"""Of all that comes without being body: status line, headers, interim responses, chunk extensions, trailers. nginx and
node allow 8–16 KiB of headers, Apache 8 KiB a line; model servers add long policy headers."""


def encode_request(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The request's head. Raises httpx2.LocalProtocolError for what would end a line early and so forge a header."""
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    lines += [b"%b: %b" % header for header in headers]
    head = b"\r\n".join(lines)
    breaks = len(headers)
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise httpx2.LocalProtocolError("the request's method, URL or a header holds a line break or a NUL")
    return head + b"\r\n\r\n"


def encode_chunk(data: bytes) -> bytes:
    """One chunk of a request body of unknown length; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ResponseReader:
    """Reads one response. `feed` it until `complete`; `end` it when the connection ends."""

    def __init__(self, *, to_head_request: bool = False) -> None:
        self.status = 0
        """0 until the final response's head is there."""
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self._to_head_request = to_head_request
        self._head_done = False
        self._interim = False
        self._until_end = False
        self._keep_alive = False
        self._excess = False
        self._body: list[bytes] = []
        self._not_body = 0
        self._parser = httptools.HttpResponseParser(self)

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request (only when `complete`)."""
        return self.complete and self._keep_alive and not self._excess

    @property
    def began(self) -> bool:
        """Whether the server said anything."""
        return self._head_done or self._not_body > 0

    def do_not_reuse(self) -> None:
        """The request was not sent whole, so nothing can follow it."""
        self._excess = True

    def feed(self, data: bytes) -> bytes:
        """The body bytes in ``data``. Raises httpx2.RemoteProtocolError."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise httpx2.RemoteProtocolError(f"the server's answer is not HTTP/1.1: {_text(error)}") from error
            self._excess = True
        if not self._body:
            self._not_body += len(data)
            if self._not_body > MAX_HEAD_BYTES and not self.complete:
                what = "trailers or chunk extensions" if self._head_done else "headers"
                raise httpx2.RemoteProtocolError(f"the server sent more than {MAX_HEAD_BYTES} bytes of {what}")
            return b""
        self._not_body = 0
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        return body

    def end(self) -> None:
        """The connection ended. Raises httpx2.RemoteProtocolError if the response was not complete."""
        if self.complete:
            return
        if self._until_end:
            self.complete = True
            return
        if not self._head_done:
            began = "in the middle of its headers" if self._not_body else "without an answer"
            raise httpx2.RemoteProtocolError(f"the server closed the connection {began}")
        raise httpx2.RemoteProtocolError("the server closed the connection before the end of the body")

    # --- called by httptools; an exception here would lose its text, so none is raised --------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self._excess = True

    def on_status(self, reason: bytes) -> None:
        if not self._head_done:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:  # later ones are trailers, of which no model server makes use
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head_done:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim = True
            return
        self.status = status
        self._head_done = True
        self._keep_alive = self._parser.should_keep_alive()
        if self._to_head_request:
            self.complete = True
        elif not self._keep_alive:
            self._until_end = not self._has_length()

    def on_body(self, data: bytes) -> None:
        if self.complete:
            self._excess = True
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            self.reason = b""
            self.headers.clear()
        elif self.status != 101:  # nobody asked for an upgrade: the error that follows says so
            self.complete = True

    def _has_length(self) -> bool:
        for name, value in self.headers:
            lower = name.lower()
            if lower == b"content-length" or (lower == b"transfer-encoding" and b"chunked" in value.lower()):
                return True
        return False


def _text(error: Exception) -> str:
    if isinstance(error, httptools.HttpParserUpgrade):
        return "it switched to another protocol"
    return str(error)
