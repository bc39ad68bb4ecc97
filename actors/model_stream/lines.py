"""Lines: WebSocket connections to a provider that stay open between a session's requests.

One session has at most one line to a provider; it carries one request at a time and remembers what the server knows of
it (`responses/continued.py`). An idle line sits in the rounds, where a server's ping is answered and its goodbye is
noticed without a task. A line belongs to its session: it is closed when that is gone, when it was given up in the
middle of an answer, or when it has been idle for `IDLE_SECONDS` and another is looked for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import httpx2
import trio

from actors.kernel import Address
from actors.model_stream.core import Hearing
from actors.model_stream.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameError, FrameReader, frame
from actors.model_stream.http.pool import Connection, ConnectionPool
from actors.model_stream.responses.continued import Known
from actors.ports import Entropy
from actors.ports.network import ROUND_BYTES, Rounds, Watch
from messages.model import StreamEvent

IDLE_SECONDS = 300.0
"""A prompt cache lives for five minutes at least; beyond that the next request is sent whole anyway."""

REFUSAL_SECONDS = 600.0
"""For so long nobody asks a server again that said it speaks no WebSocket: a deployment takes longer to learn it."""

GOODBYE = (1000).to_bytes(2)
"""Status of a close that is nobody's fault (RFC 6455 §7.4.1)."""


class Line:
    """One connection behind its handshake."""

    def __init__(
        self, connection: Connection, pool: ConnectionPool, entropy: Entropy, asked_with: object, early: bytes
    ) -> None:
        self.connection = connection
        self.asked_with = asked_with
        """Address and headers of the handshake: a request with others needs another line."""
        self.known: Known | None = None
        self.carried = 0
        """Answers that came over it whole."""
        self.frames = FrameReader(masked=False)
        self.early = early
        """What came together with the handshake, or after an answer."""
        self.idle_since = 0.0
        self.watch: Watch | None = None
        self._pool = pool
        self._entropy = entropy

    def encoded(self, payload: bytes, opcode: int = TEXT) -> bytes:
        """A frame as a client sends it."""
        return frame(payload, opcode, mask=self._entropy.token(4))

    def try_send(self, payload: bytes, opcode: int) -> None:
        """Send a control frame at once. Raises trio.BrokenResourceError if there is no room even for that."""
        data = self.encoded(payload, opcode)
        if self.connection.stream.try_send(data) != len(data):
            raise trio.BrokenResourceError("the server does not read")

    def close(self) -> None:
        """Close it at once. May be called twice."""
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        self.connection.on_lost = None
        self._pool.discard(self.connection)


class Lines:
    """All idle lines, by session. ``now`` is monotonic."""

    def __init__(self, rounds: Rounds, now: Callable[[], float]) -> None:
        self._rounds = rounds
        self._now = now
        self._idle: weakref.WeakKeyDictionary[Address[StreamEvent], Line] = weakref.WeakKeyDictionary()
        self._refused: dict[str, float] = {}

    def refuses(self, url: str) -> bool:
        """Whether a server said not long ago that it speaks no WebSocket there."""
        return self._now() < self._refused.get(url, 0.0)

    def note_refusal(self, url: str) -> None:
        """It has just said so."""
        self._refused[url] = self._now() + REFUSAL_SECONDS

    def take(self, session: Address[StreamEvent], asked_with: object) -> Line | None:
        """The session's line, if it has one that such a request can use."""
        self._close_expired()
        line = self._idle.pop(session, None)
        if line is None:
            return None
        if line.watch is not None:
            line.watch.close()
            line.watch = None
        line.connection.on_lost = None
        if line.asked_with != asked_with:
            line.close()
            return None
        return line

    def keep(self, session: Address[StreamEvent], line: Line) -> None:
        """Its answer has come; it waits for the session's next request."""
        line.carried += 1
        line.idle_since = self._now()
        stale = self._idle.pop(session, None)
        if stale is not None:
            stale.close()
        try:
            line.watch = self._rounds.watch(line.connection.stream, lambda: self._read_idle(line))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            line.close()
            return
        line.connection.on_lost = line.close
        self._idle[session] = line
        if line.carried == 1:
            weakref.finalize(session, line.close)

    def close_all(self) -> None:
        """The daemon ends."""
        for line in list(self._idle.values()):
            line.close()
        self._idle.clear()

    def _close_expired(self) -> None:
        oldest = self._now() - IDLE_SECONDS
        for session, line in list(self._idle.items()):
            if line.idle_since < oldest:
                del self._idle[session]
                line.close()

    def _read_idle(self, line: Line) -> None:
        try:
            data = line.connection.stream.try_receive(ROUND_BYTES)
            if data is None:
                return
            if not data or not _is_alive(line, data):
                line.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError, FrameError):
            line.close()


def _is_alive(line: Line, data: bytes) -> bool:
    """Answer pings; False after a goodbye. What else a server says without being asked is news of limits and such."""
    for opcode, payload in line.frames.feed(data):
        if opcode == PING:
            line.try_send(payload, PONG)
        elif opcode == CLOSE:
            return False
    return True


class LineBody:
    """One answer as the exchange listens to it: its events framed as those of an event stream.

    It ends when ``hearing`` has heard the terminal event. Closed before that, the line is closed with it.
    """

    def __init__(self, line: Line, rounds: Rounds, hearing: Hearing) -> None:
        self._line = line
        self._rounds = rounds
        self._hearing = hearing
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[Exception | None], None] | None = None
        self._paused = False
        self._over = False

    def deliver(self, on_data: Callable[[bytes], None], on_end: Callable[[Exception | None], None]) -> LineBody:
        """As `ResponseBody.deliver`."""
        self._on_data, self._on_end = on_data, on_end
        self._line.watch = self._rounds.watch(self._line.connection.stream, self._read)
        self._line.connection.on_lost = self._lost
        if self._line.early:
            self._rounds.flush_later(self)
        return self

    def pause(self) -> None:
        self._paused = True
        if self._line.watch is not None:
            self._line.watch.pause()

    def resume(self) -> None:
        if self._paused and not self._over:
            self._paused = False
            if self._line.watch is not None:
                self._line.watch.resume()
            if self._line.early:
                self._rounds.flush_later(self)

    def close(self) -> None:
        """No callback comes after this."""
        self._over = True
        self._line.connection.on_lost = None
        if self._line.watch is not None:
            self._line.watch.close()
            self._line.watch = None

    def flush(self) -> None:
        """Called by the rounds: what came together with the handshake."""
        if not self._over and not self._paused:
            early, self._line.early = self._line.early, b""
            self._take(early)

    def _read(self) -> None:
        try:
            data = self._line.connection.stream.try_receive(ROUND_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(httpx2.ReadError(f"the connection to the server broke: {error}"))
            return
        if data is None:
            return
        early, self._line.early = self._line.early, b""
        if data:
            self._take(early + data)
        else:
            self._end(httpx2.ReadError("the server closed the connection before the end of the answer"))

    def _take(self, data: bytes) -> None:
        said: list[bytes] = []
        goodbye: Exception | None = None
        try:
            for opcode, payload in self._line.frames.feed(data):
                if opcode in (TEXT, BINARY):
                    # A line break in JSON stands between tokens; as a blank it does not end the event's line.
                    said.append(b"data: %b\n\n" % payload.replace(b"\n", b" ").replace(b"\r", b" "))
                elif opcode == PING:
                    self._line.try_send(payload, PONG)
                elif opcode == CLOSE:
                    words = payload[2:].decode("utf-8", "replace")
                    goodbye = httpx2.ReadError(f"the server said goodbye before the end of the answer ({words or '-'})")
                    break
            if said and self._on_data is not None:
                self._on_data(b"".join(said))
        except FrameError as error:
            goodbye = httpx2.RemoteProtocolError(f"the server's answer is no WebSocket: {error}")
        except Exception as error:  # as a body in the rounds does: whoever listens is told
            goodbye = error
        if not self._over and self._hearing.done:
            self._end(None)
        elif not self._over and goodbye is not None:
            self._end(goodbye)

    def _lost(self) -> None:
        self._end(httpx2.ReadError("the HTTP client was closed under this answer"))

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self.close()
        if self._on_end is not None:
            self._on_end(error)
