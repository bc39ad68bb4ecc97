"""The body of a response: iterated by a task, or read in the rounds.

Whoever reads it, the connection goes back to the pool in the moment the last byte was read, and is closed at once if
the body is given up before. Errors are httpx2's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import httpx2
import trio

from actors.model_stream.http.deadline import deadline
from actors.model_stream.http.pool import Connection, ConnectionPool
from actors.model_stream.http.wire import ResponseReader
from actors.ports.network import ROUND_BYTES, Rounds, Watch

OnData = Callable[[bytes], None]
"""Called with body bytes, never with none; within a round, so it must not block."""

OnEnd = Callable[[Exception | None], None]
"""Called once, after all data: None for a whole body, else why it is not whole."""


class BodyWatch:
    """A body's place in the rounds."""

    def __init__(self, body: ResponseBody, rounds: Rounds, on_data: OnData, on_end: OnEnd) -> None:
        self._body = body
        self._rounds = rounds
        self._on_data = on_data
        self._on_end = on_end
        self._paused = False
        self._over = False
        self._watch: Watch | None = None
        if not body.whole:
            self._watch = rounds.watch(body.connection.stream, self._read)
            body.connection.on_lost = self._lost
        if body.whole or body.early:
            rounds.flush_later(self)

    def pause(self) -> None:
        """No more data until `resume`; the server is held up by its full socket buffer."""
        self._paused = True
        if self._watch is not None:
            self._watch.pause()

    def resume(self) -> None:
        """Go on."""
        if self._paused and not self._over:
            self._paused = False
            if self._watch is not None:
                self._watch.resume()
            if self._body.whole or self._body.early:
                self._rounds.flush_later(self)

    def close(self) -> None:
        """Stop reading and, if the body is not whole, close the connection at once. No callback comes after this."""
        self._over = True
        self._leave()
        self._body.let_go()

    def flush(self) -> None:
        """Called by the rounds: hand out what came together with the head."""
        if not self._over and not self._paused:
            early, self._body.early = self._body.early, b""
            self._hand_out(early)

    def _read(self) -> None:
        body = self._body
        try:
            data = body.connection.stream.try_receive(ROUND_BYTES)
            if data is None:
                return
            chunk = body.take(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._fail(body.blame(httpx2.ReadError(f"the connection to the server broke: {error}"), error))
            return
        except httpx2.RemoteProtocolError as error:
            self._fail(body.blame(error))
            return
        if body.early:
            chunk, body.early = body.early + chunk, b""
        if body.whole:
            self._leave()
            body.let_go()
        self._hand_out(chunk)

    def _hand_out(self, chunk: bytes) -> None:
        if chunk:
            try:
                self._on_data(chunk)
            except Exception as error:
                if self._over:
                    raise  # closed, so nobody is to be called; the rounds report it
                self._end(error)
        if self._body.whole and not self._over:
            self._end(None)

    def _fail(self, error: httpx2.RequestError) -> None:
        """What came with the head may not have had its turn yet, and is no worse for what happened after it."""
        early, self._body.early = self._body.early, b""
        self._hand_out(early)
        if not self._over:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.close()
        self._on_end(error)

    def _leave(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
            self._body.connection.on_lost = None

    def _lost(self) -> None:
        self._fail(self._body.blame(httpx2.ReadError("the HTTP client was closed under this response")))


class ResponseBody(httpx2.AsyncByteStream):
    """The body behind `httpx2.Response.stream`; also in its extensions, for those who want it in the rounds."""

    def __init__(
        self,
        request: httpx2.Request,
        pool: ConnectionPool,
        rounds: Rounds,
        connection: Connection,
        reader: ResponseReader,
        early: bytes,
    ) -> None:
        self.connection = connection
        self.early = early
        """Body bytes that came together with the head and were not handed out yet."""
        self._request = request
        self._pool = pool
        self._rounds = rounds
        self._reader = reader
        self._holds_connection = True
        self._taken = False
        self._watch: BodyWatch | None = None
        self._read_seconds: float | None = request.extensions.get("timeout", {}).get("read")
        if reader.complete:
            self.let_go()

    @property
    def whole(self) -> bool:
        """Whether all of it was read."""
        return self._reader.complete

    def deliver(self, on_data: OnData, on_end: OnEnd, *, rounds: Rounds | None = None) -> BodyWatch:
        """Let the rounds read the body and call ``on_data``, then ``on_end``; neither is called before this returned.

        The body is delivered as sent: ask for ``accept-encoding: identity`` (as `open_client` does); a compressed one
        raises httpx2.DecodingError. What ``on_data`` raises ends the body and is given to ``on_end``. Leaving the
        response (`aclose`, or the end of ``client.stream``) closes the watch. There is no idle timeout here: the
        request's owner keeps one by his own clock. Raises httpx2.StreamConsumed the second time, httpx2.StreamClosed
        after `aclose`.
        """
        for name, value in self._reader.headers:
            if name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                text = value.decode("ascii", "replace")
                raise httpx2.DecodingError(f"the server compressed its answer ({text}) although it was asked not to")
        self._take_once()
        self._watch = BodyWatch(self, self._rounds if rounds is None else rounds, on_data, on_end)
        return self._watch

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._take_once()
        try:
            early, self.early = self.early, b""
            if early:
                yield early
            while self._holds_connection:
                chunk = self.take(await self._receive())
                if self._reader.complete:
                    self.let_go()
                if chunk:
                    yield chunk
        finally:
            self.let_go()

    async def aclose(self) -> None:
        """Give up what is unread: the connection is closed at once, without a goodbye."""
        if self._watch is not None:
            self._watch.close()
        self.let_go()

    # --- for the watch ----------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> bytes:
        """Put received bytes (b"": the connection ended) through the parser. Raises httpx2.RemoteProtocolError."""
        if data:
            return self._reader.feed(data)
        self._reader.end()
        return b""

    def let_go(self) -> None:
        """Give the connection back if it can carry another request, else close it. May be called twice."""
        if self._holds_connection:
            self._holds_connection = False
            if self._reader.reusable:
                self._pool.release(self.connection)
            else:
                self._pool.discard(self.connection)

    def blame(self, error: httpx2.RequestError, cause: BaseException | None = None) -> httpx2.RequestError:
        """``error`` with what httpx2 adds to those that pass through it."""
        error.request = self._request
        error.__cause__ = cause
        return error

    def _take_once(self) -> None:
        if self._taken:
            raise httpx2.StreamConsumed
        if not self._holds_connection and not self.whole:
            raise httpx2.StreamClosed
        self._taken = True

    async def _receive(self) -> bytes:
        with deadline(self._read_seconds, httpx2.ReadTimeout, "the server sent nothing"):
            try:
                return await self.connection.stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise httpx2.ReadError(f"the connection to the server broke: {error}") from error
