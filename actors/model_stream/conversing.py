"""One attempt over a session's line: the Responses API over WebSocket, where a provider offers it.

The answer is heard exactly as one that comes by server-sent events (`exchange.Listening`). What differs is the way
there: the line is opened once and kept, and a request that goes on where the last one stopped holds only what is new.

A server that does not take the handshake is asked the ordinary way at once, within the same attempt (`NoLineError`).
An answer that broke off is void as any other, and is asked for again the ordinary way: half an answer has no side
effects, because calls start only behind its terminal event.
"""

from __future__ import annotations

from base64 import b64encode

import httpx2
import trio

from actors.kernel import Address
from actors.model_stream.core import Hearing
from actors.model_stream.exchange import Listening, Post, target
from actors.model_stream.frames import accept_of
from actors.model_stream.http import TIMEOUTS, HttpTransport
from actors.model_stream.http.deadline import deadline
from actors.model_stream.http.pool import Connection
from actors.model_stream.http.transport import DEFAULT_PORTS
from actors.model_stream.http.wire import MAX_HEAD_BYTES, encode_request
from actors.model_stream.lines import Line, LineBody, Lines
from actors.model_stream.outlet import Outlet
from actors.model_stream.responses.continued import known_after, message
from actors.model_stream.responses.request import Parts
from actors.ports import Clock, Entropy, Network
from messages.failure import Failure
from messages.model import StreamEvent

BETA = "responses_websockets=2026-02-06"
"""Value of ``OpenAI-Beta`` in the handshake."""

HANDSHAKE_SECONDS = 15.0
"""For the server's answer to the handshake: what the Codex clients give it."""

MEANT_FOR_GOOD = frozenset((200, 204, 400, 403, 404, 405, 406, 410, 426, 501))
"""Answers to a handshake that say it is not spoken there, rather than that something is wrong at the moment."""

_NOT_IN_HANDSHAKE = ("content-type", "accept", "openai-beta")


class NoLineError(Exception):
    """There is no line; the text says why."""


async def converse(
    post: Post,
    made: Parts,
    hearing: Hearing,
    outlet: Outlet,
    *,
    session: Address[StreamEvent],
    lines: Lines,
    transport: HttpTransport,
    network: Network,
    clock: Clock,
    entropy: Entropy,
) -> Failure | None:
    """Send the request over the session's line, and let ``hearing`` hear the answer. None: it completed.

    Raises NoLineError, having sent nothing. Leaving it in the middle of an answer, also by cancellation, closes the
    line.
    """
    if lines.refuses(post.url):
        raise NoLineError("refused not long ago")
    asked_with = (post.url, tuple(post.query.items()), tuple(h for h in post.headers if h[0] != "x-client-request-id"))
    while True:
        line = lines.take(session, asked_with)
        kept = line is not None
        if line is None:
            line = await _open(post, asked_with, lines, transport, entropy)
        hearing.kept = []
        whole = False
        try:
            failure = await _ask(line, post, made, hearing, outlet, network, clock)
            whole = failure is None
        finally:
            if not whole:
                line.close()
        if failure is None:
            line.known = known_after(made, hearing.kept)
            lines.keep(session, line)
            return None
        if kept and not hearing.began and failure.kind == "stream_disconnected":
            continue  # the server had closed it while it was idle, and has not seen the request
        return failure


async def _ask(
    line: Line, post: Post, made: Parts, hearing: Hearing, outlet: Outlet, network: Network, clock: Clock
) -> Failure | None:
    said = message(made, line.known)
    line.known = None
    stream = line.connection.stream
    data = line.encoded(said.text)
    try:
        sent = stream.try_send(data)
        if sent < len(data):
            with deadline(TIMEOUTS["write"], httpx2.WriteTimeout, "the server did not take the request"):
                await stream.send_all(memoryview(data)[sent:])
    except (trio.BrokenResourceError, trio.ClosedResourceError, httpx2.WriteTimeout) as error:
        return Failure(
            kind="stream_disconnected", message=f"the connection to {post.where} broke: {error}", retryable=True
        )
    return await Listening(LineBody(line, network.rounds, hearing), post, hearing, outlet, clock).run()


async def _open(post: Post, asked_with: object, lines: Lines, transport: HttpTransport, entropy: Entropy) -> Line:
    """Connect and shake hands (RFC 6455 §4). Raises NoLineError."""
    try:
        url, implied = target(post.url, tuple(post.query.items()))
        if url.scheme not in DEFAULT_PORTS:
            raise NoLineError(f"cannot speak {url.scheme!r}")
        key = b64encode(entropy.token(16)).decode("ascii")
        headers = {
            "host": url.netloc.decode("ascii"),
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-key": key,
            "sec-websocket-version": "13",
            **implied,
            **{name: value for name, value in post.headers if name not in _NOT_IN_HANDSHAKE},
            "openai-beta": BETA,
        }
        head = encode_request(b"GET", url.raw_path, httpx2.Headers(headers).raw)
        origin = (url.scheme, url.host, url.port or DEFAULT_PORTS[url.scheme])
        connection = await transport.pool.acquire(
            origin, connect_seconds=TIMEOUTS["connect"], pool_seconds=TIMEOUTS["pool"]
        )
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise NoLineError(str(error)) from error
    try:
        answer = b""
        with trio.fail_after(HANDSHAKE_SECONDS):
            await connection.stream.send_all(head)
            while b"\r\n\r\n" not in answer and len(answer) <= MAX_HEAD_BYTES:
                data = await connection.stream.receive_some()
                if not data:
                    break
                answer += data
        early = _shaken(answer, key, post.url, lines)
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
        transport.pool.discard(connection)
        raise NoLineError(f"the handshake broke off: {error}") from error
    except BaseException:
        transport.pool.discard(connection)
        raise
    return _line(connection, transport, entropy, asked_with, early)


def _line(connection: Connection, transport: HttpTransport, entropy: Entropy, asked_with: object, early: bytes) -> Line:
    return Line(connection, transport.pool, entropy, asked_with, early)


def _shaken(answer: bytes, key: str, url: str, lines: Lines) -> bytes:
    """What followed a good handshake. Raises NoLineError."""
    head, _, early = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    if status == 101 and fields.get("sec-websocket-accept") == accept_of(key):
        return early
    if status in MEANT_FOR_GOOD:
        lines.note_refusal(url)
    raise NoLineError(f"the server answered the handshake with {first[:100]!r}")
