"""A client that remembers every frame it was shown.

Nothing of our own client code: a test of what the wire says must not read it through our own glasses. Text that no
client would send can be sent, and what comes is kept as it came.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec
import trio
import trio_websocket

Frame = dict[str, Any]

MAX_FRAME_BYTES = 64 * 1024 * 1024

PATIENCE_SECONDS = 10.0
"""For anything that ought to happen at once, on a busy machine."""


class Place(Protocol):
    """Where a daemon is, and what it wants to be shown."""

    @property
    def address(self) -> str: ...

    @property
    def token(self) -> str: ...


class RpcFailedError(Exception):
    """A request was answered with an error."""

    def __init__(self, method: str, error: Frame) -> None:
        super().__init__(f"{method}: {error}")
        self.error = error
        self.code: int = error["code"]
        self.message: str = error["message"]


class PeerGoneError(Exception):
    """The connection ended while something was waited for."""


class Peer:
    """One connection. ``frames`` grows as they come; ``closed`` is set when no more will."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._next_id = 0
        self._news = trio.Event()
        self.frames: list[Frame] = []
        self.times: list[float] = []
        """When each came: seconds of the monotonic clock."""
        self.closed = trio.Event()
        self.server: Frame = {}

    # --- speaking ---------------------------------------------------------------------------------------------------

    async def send_text(self, text: str | bytes) -> None:
        """A frame as it is: text, or bytes as a binary one."""
        await self._socket.send_message(text)

    async def send(self, frame: Frame) -> None:
        await self._socket.send_message(msgspec.json.encode(frame).decode())

    async def ask(self, method: str, params: Frame | None = None) -> int:
        """Send a request and do not wait; its id."""
        self._next_id += 1
        id_ = self._next_id
        await self.send({"id": id_, "method": method, "params": {} if params is None else params})
        return id_

    async def request(self, method: str, params: Frame | None = None, seconds: float = PATIENCE_SECONDS) -> Any:
        """The result. Raises RpcFailedError, PeerGoneError, AssertionError after ``seconds``."""
        after = len(self.frames)
        id_ = await self.ask(method, params)
        frame = await self.wait(
            lambda frame: frame.get("id") == id_ and "method" not in frame,
            after,
            seconds,
            what=f"the answer to {method}",
        )
        if "error" in frame:
            raise RpcFailedError(method, frame["error"])
        return frame["result"]

    async def answer(self, request: Frame, result: Frame) -> None:
        """Answer a request of the daemon."""
        await self.send({"id": request["id"], "result": result})

    # --- threads and turns ------------------------------------------------------------------------------------------

    async def start_thread(self, cwd: object, policy: str = "never", provider: str | None = None) -> Frame:
        """The thread that was started."""
        params = {"cwd": str(cwd), "approvalPolicy": policy, "modelProvider": provider}
        result = await self.request("thread/start", params)
        thread: Frame = result["thread"]
        return thread

    async def start_turn(self, thread_id: str, text: str, client_id: str | None = None) -> str:
        """The turn's id."""
        params: Frame = {"threadId": thread_id, "input": [{"type": "text", "text": text}]}
        if client_id is not None:
            params["clientUserMessageId"] = client_id
        result = await self.request("turn/start", params)
        return str(result["turn"]["id"])

    async def turn_completed(self, turn_id: str, seconds: float = PATIENCE_SECONDS) -> Frame:
        """How the turn ended."""
        frame = await self.wait(
            lambda frame: frame.get("method") == "turn/completed" and frame["params"]["turn"]["id"] == turn_id,
            seconds=seconds,
            what=f"turn/completed of {turn_id}",
        )
        turn: Frame = frame["params"]["turn"]
        return turn

    async def run_turn(self, thread_id: str, text: str, seconds: float = PATIENCE_SECONDS) -> Frame:
        """Start a turn and see how it ends."""
        return await self.turn_completed(await self.start_turn(thread_id, text), seconds)

    # --- listening --------------------------------------------------------------------------------------------------

    def notes(self, method: str, thread_id: str | None = None) -> list[Frame]:
        """The params of the notifications and requests of that name, in order."""
        return [
            frame["params"]
            for frame in self.frames
            if frame.get("method") == method and thread_id in (None, frame["params"].get("threadId"))
        ]

    async def wait(
        self,
        matches: Callable[[Frame], bool],
        after: int = 0,
        seconds: float = PATIENCE_SECONDS,
        what: str = "a frame",
    ) -> Frame:
        """The first frame from position ``after`` on that matches. Raises AssertionError naming what did not come."""
        with trio.move_on_after(seconds):
            async for frame in self.all_frames(after):
                if matches(frame):
                    return frame
            raise PeerGoneError(f"the connection ended before {what} came; last: {self._last()}")
        raise AssertionError(f"{what} did not come within {seconds} s; last: {self._last()}")

    def all_frames(self, after: int = 0) -> AsyncIterator[Frame]:
        """Every frame from position ``after`` on, as they come, until the connection ends."""
        return _Frames(self, after)

    async def more_than(self, position: int) -> bool:
        """Wait until there are more frames than so many; False when there never will be."""
        while position >= len(self.frames):
            if self.closed.is_set():
                return False
            await self._news.wait()
        return True

    async def note(self, method: str, after: int = 0, seconds: float = PATIENCE_SECONDS) -> Frame:
        """The first notification or request of that name."""
        return await self.wait(lambda frame: frame.get("method") == method, after, seconds, what=method)

    def _last(self) -> list[str]:
        return [str(frame.get("method") or frame)[:200] for frame in self.frames[-5:]]

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.get_message()
                self.frames.append(msgspec.json.decode(message))
                self.times.append(time.monotonic())
                self._wake()
        except trio_websocket.ConnectionClosed as closed:
            self.reason = closed.reason
        finally:
            self.closed.set()
            self._wake()

    reason: Any = None
    """The close frame, if there was one."""

    def _wake(self) -> None:
        news, self._news = self._news, trio.Event()
        news.set()


class _Frames(AsyncIterator[Frame]):
    """An iterator that may be left at any point; a generator would have to be closed."""

    def __init__(self, peer: Peer, position: int) -> None:
        self._peer = peer
        self._position = position

    async def __anext__(self) -> Frame:
        if not await self._peer.more_than(self._position):
            raise StopAsyncIteration
        self._position += 1
        return self._peer.frames[self._position - 1]


@asynccontextmanager
async def connect(place: Place, name: str = "probe", *, initialize: bool = True) -> AsyncIterator[Peer]:
    """A connection for the length of a block, by default initialized."""
    headers = [(b"authorization", b"Bearer " + place.token.encode())]
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE_SECONDS):
            socket = await trio_websocket.connect_websocket_url(
                nursery, place.address, extra_headers=headers, max_message_size=MAX_FRAME_BYTES
            )
        peer = Peer(socket)
        nursery.start_soon(peer._read)
        if initialize:
            peer.server = await peer.request(
                "initialize",
                {
                    "clientInfo": {"name": name, "title": None, "version": "1.0"},
                    "capabilities": {"experimentalApi": True},
                },
            )
            await peer.send({"method": "initialized"})
        try:
            yield peer
        finally:
            with trio.move_on_after(1, shield=True):
                await socket.aclose()
            # A connection that the other side closed, or broke, is closed for the library, but its socket is not.
            await trio.aclose_forcefully(socket._stream)
            nursery.cancel_scope.cancel()
