"""The rehearsed model as a process: prints its base URL and plays until standard input ends.

Scenes, streams and HTTP are those of `actors/rehearsal`, down to the byte; only the shell is another. There a task
plays each stream, which is right for a demo and costs some 100 µs per delta; here one epoll and one heap of due times
play all of them, because at 10,000 deltas a second the model must not need the core that the daemon is measured on.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from itertools import count

from actors.rehearsal import server
from actors.rehearsal.actor import shipped_scenes
from actors.rehearsal.cast import cast
from actors.rehearsal.play import Beat, Playing
from actors.rehearsal.prompt import NotAPromptError, read_prompt
from actors.rehearsal.script import SceneError, Status
from actors.rehearsal.server import Request, RequestError, RequestReader

BEATS_AT_ONCE = 64
"""Of one stream that knows no pauses, before the others have their turn."""

RECEIVE_BYTES = 256 * 1024


class Listener:
    """One client of the model, and what is being played to it."""

    __slots__ = ("beats", "due", "reader", "socket", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.reader = RequestReader()
        self.beats: Iterator[Beat] | None = None
        self.due = 0.0
        """When the next beat is due, by time.monotonic()."""
        self.unsent = b""


class Theatre:
    """All streams."""

    def __init__(self) -> None:
        self._scenes = shipped_scenes()
        self._epoll = select.epoll()
        self._entrance = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._entrance.setblocking(False)
        self._listeners: dict[int, Listener] = {}
        self._due: list[tuple[float, int, Listener]] = []
        self._order = count()

    @property
    def url(self) -> str:
        """For a provider's base URL."""
        return f"http://127.0.0.1:{self._entrance.getsockname()[1]}/v1"

    def play(self, until_readable: int) -> None:
        """Serve until that descriptor is readable."""
        entrance = self._entrance.fileno()
        self._epoll.register(entrance, select.EPOLLIN)
        self._epoll.register(until_readable, select.EPOLLIN)
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else -1
            for descriptor, events in self._epoll.poll(wait, 512):
                if descriptor == until_readable:
                    return
                if descriptor == entrance:
                    self._admit()
                else:
                    self._attend(self._listeners[descriptor], events)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, listener = heapq.heappop(self._due)
                self._perform(listener)

    def _admit(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._entrance.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._listeners[sock.fileno()] = Listener(sock)
                self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _attend(self, listener: Listener, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._send(listener, b"")
            if events & ~select.EPOLLOUT:
                data = listener.socket.recv(RECEIVE_BYTES)
                if not data:
                    self._dismiss(listener)
                    return
                listener.reader.feed(data)
                if listener.beats is None:
                    self._next_request(listener)
        except BlockingIOError:
            pass
        except (OSError, RequestError):
            self._dismiss(listener)

    def _next_request(self, listener: Listener) -> None:
        request = listener.reader.take()
        if request is None:
            return
        try:
            listener.beats = self._answer(request)
        except (NotAPromptError, SceneError) as error:
            self._send(listener, server.error(400, "rehearsal", str(error)))
            return
        self._send(listener, server.stream_head())
        listener.due = time.monotonic()
        self._perform(listener)

    def _answer(self, request: Request) -> Iterator[Beat]:
        """What to play. Raises NotAPromptError, SceneError."""
        if (request.method, request.path) != ("POST", "/v1/responses"):
            raise NotAPromptError(f"{request.method} {request.path}: only POST /v1/responses is played here")
        prompt = read_prompt(request.body)
        cue = cast(self._scenes, prompt, 0)
        if cue.acts and isinstance(cue.acts[0], Status):
            raise SceneError("this shell plays streams only")
        return Playing(cue, prompt, serial=os.urandom(8).hex(), now=time.time).beats()

    def _perform(self, listener: Listener) -> None:
        """Play what is due, until a pause, a full socket, or the end."""
        beats = listener.beats
        if beats is None:
            return  # the client has gone
        try:
            for _ in range(BEATS_AT_ONCE):
                if listener.unsent:
                    return  # it goes on when the socket takes more
                beat = next(beats)
                if isinstance(beat, float):
                    listener.due += beat
                    if listener.due > time.monotonic():
                        break
                elif isinstance(beat, bytes):
                    self._send(listener, server.chunk(beat))
                elif beat == "end":
                    self._send(listener, server.LAST_CHUNK)
                    listener.beats = None
                    self._next_request(listener)
                    return
                else:
                    self._dismiss(listener)
                    return
        except (OSError, SceneError):
            self._dismiss(listener)
            return
        heapq.heappush(self._due, (listener.due, next(self._order), listener))

    def _send(self, listener: Listener, data: bytes) -> None:
        held = bool(listener.unsent)
        data = listener.unsent + data
        try:
            sent = listener.socket.send(data)
        except BlockingIOError:
            sent = 0
        listener.unsent = data[sent:]
        if listener.unsent and not held:
            self._epoll.modify(listener.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        elif held and not listener.unsent:
            self._epoll.modify(listener.socket.fileno(), select.EPOLLIN)
            self._perform(listener)

    def _dismiss(self, listener: Listener) -> None:
        if listener.socket.fileno() >= 0:
            self._epoll.unregister(listener.socket.fileno())
            del self._listeners[listener.socket.fileno()]
            listener.socket.close()
        listener.beats = None


def main() -> int:
    """Serve until standard input ends."""
    gc.set_threshold(50_000, 20, 20)  # a pause in the model would look like a delay in the daemon
    theatre = Theatre()
    print(theatre.url, flush=True)
    theatre.play(sys.stdin.fileno())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
