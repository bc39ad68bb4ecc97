"""A provider that says everything back: each answer quotes the request's line, URL and headers, in every place where a
provider can put words. What it is asked under ``/MODE/…`` decides how.

Plain threads and sockets, as `tests.system.model`; nothing of the code under test.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

PAGE_CHARS = 1900
"""Before the quotation on a web page: so that what is kept of the page ends within it."""

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""


class QuotingProvider:
    """``url(mode)`` is a base URL. ``asked`` holds the paths of all requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heard = ""
        """Everything it was told: the control of a hunt, for the secrets must have been sent."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider._answer(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                provider._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # whoever asked had enough

        self._server = Server(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        words = quotation(handler)
        self.heard += words
        mode = handler.path.split("/")[1]
        if "websocket" in handler.headers.get("upgrade", "").lower():
            _websocket(handler, mode, words)
        elif mode.isdecimal():
            _status(handler, int(mode), words)
        else:
            MODES[mode](handler, words)
        handler.close_connection = True


def quotation(handler: BaseHTTPRequestHandler) -> str:
    """Whatever the request said, in the spellings a server knows it in."""
    said = [
        handler.requestline,
        unquote(handler.path),
        *(f"{name}: {value}" for name, value in handler.headers.items()),
    ]
    for value in handler.headers.values():
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "basic":
            said.append(base64.b64decode(rest).decode())
    return " | ".join(said)


# --- how it answers ---------------------------------------------------------------------------------------------------


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def _status(handler: BaseHTTPRequestHandler, status: int, words: str) -> None:
    error = {"message": f"no: {words}", "type": words, "code": words, "param": words}
    if status >= 500:
        page = f"<html><body>{'x ' * (PAGE_CHARS // 2)}<pre>{words}</pre></body></html>".encode()
        _send(handler, status, page, "text/html", **{"x-request-id": words[:200]})
    elif status == 404:
        _send(handler, status, words.encode(), "text/plain")
    elif status == 422:
        _send(handler, status, json.dumps({"detail": [{"loc": [words], "msg": words}]}).encode(), "application/json")
    else:
        headers = {"x-request-id": words[:2000], "location": f"http://127.0.0.1:1/?{words[:500]}"}
        _send(handler, status, json.dumps({"error": error}).encode(), "application/json", **headers)


def _stream(handler: BaseHTTPRequestHandler, *events: Any) -> None:
    lines = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = "" if isinstance(event, str) or "type" not in event else f"event: {event['type']}\n"
        lines.append(f"{name}data: {data}\n\n")
    _send(handler, 200, "".join(lines).encode(), "text/event-stream", **{"x-request-id": "r"})


def _begun(handler: BaseHTTPRequestHandler) -> dict[str, Any]:
    """The first event of an answer, on the wire that was asked for."""
    path = handler.path.partition("?")[0]
    if path.endswith("/messages"):
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
        return {"type": "message_start", "message": message}
    if path.endswith("/completions"):
        return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    return {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress"}}


def _error_in_stream(handler: BaseHTTPRequestHandler, words: str) -> None:
    _stream(handler, _begun(handler), {"type": "error", "error": {"type": words, "code": words, "message": words}})


def _failed(handler: BaseHTTPRequestHandler, words: str) -> None:
    failed = {"id": words, "status": "failed", "error": {"code": words, "message": words}}
    _stream(handler, _begun(handler), {"type": "response.failed", "response": failed, "error": {"message": words}})


def _odd_end(handler: BaseHTTPRequestHandler, words: str) -> None:
    """An end for a reason that nobody knows."""
    response = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": words}, "output": []}
    _stream(
        handler,
        _begun(handler),
        {"type": "message_delta", "delta": {"stop_reason": words, "stop_details": {"explanation": words}}},
        {"type": "message_stop"},
        {"type": "response.incomplete", "response": response},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": words}]},
        "[DONE]",
    )


def _broken_event(handler: BaseHTTPRequestHandler, words: str) -> None:
    _stream(handler, _begun(handler), f'{{"type": "{words.replace(chr(34), "")}')


def _unknown_event(handler: BaseHTTPRequestHandler, words: str) -> None:
    _stream(handler, _begun(handler), {"type": words, "item": words, "choices": words})


def _no_http(handler: BaseHTTPRequestHandler, words: str) -> None:
    handler.wfile.write(words.encode() + b"\r\n\r\n")


def _bad_header(handler: BaseHTTPRequestHandler, words: str) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + words.encode() + b"\r\nno colon here\r\n\r\n")


def _hang_up(handler: BaseHTTPRequestHandler, words: str) -> None:
    handler.send_response(200, words)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("content-length", "100000")
    handler.end_headers()
    handler.wfile.write(f"data: {json.dumps(_begun(handler))}\n\n: {words}\n".encode())


MODES: dict[str, Callable[[BaseHTTPRequestHandler, str], None]] = {
    "json-error": lambda handler, words: _send(
        handler, 200, json.dumps({"error": {"message": words, "code": words}}).encode(), "application/json"
    ),
    "json": lambda handler, words: _send(handler, 200, json.dumps({"said": words}).encode(), "application/json"),
    "page": lambda handler, words: _send(handler, 200, f"<p>{words}</p>".encode(), "text/html"),
    "stream-error": _error_in_stream,
    "stream-failed": _failed,
    "odd-end": _odd_end,
    "broken-event": _broken_event,
    "unknown-event": _unknown_event,
    "no-http": _no_http,
    "bad-header": _bad_header,
    "hang-up": _hang_up,
}

STATUSES = (302, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503)


def _websocket(handler: BaseHTTPRequestHandler, mode: str, words: str) -> None:
    """Refuse the handshake, or say yes and then everything."""
    if mode != "stream-error":
        _status(handler, 400 if not mode.isdecimal() else int(mode), words)
        return
    key = hashlib.sha1((handler.headers["sec-websocket-key"] + WEBSOCKET_GUID).encode()).digest()
    handler.wfile.write(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: " + base64.b64encode(key) + b"\r\n\r\n"
    )
    handler.connection.recv(65536)
    said = {"type": "error", "status": 400, "error": {"type": words, "code": words, "message": words}}
    for opcode, payload in ((1, json.dumps(said).encode()), (8, b"\x03\xe8" + words.encode()[:100])):
        length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
        handler.wfile.write(bytes([0x80 | opcode]) + length + payload)


@contextlib.contextmanager
def quoting_provider() -> Iterator[QuotingProvider]:
    """One for the length of a block."""
    provider = QuotingProvider()
    try:
        yield provider
    finally:
        provider.close()
