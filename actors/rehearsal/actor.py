"""The rehearsal server: one task accepts, one per connection answers, and what was played is remembered for a while."""

from __future__ import annotations

import contextlib
import importlib.resources
from collections import OrderedDict, deque
from typing import Any, Literal

import msgspec
import trio

from actors.kernel import Context
from actors.ports import Ports
from actors.ports.network import ByteStream
from actors.rehearsal import server
from actors.rehearsal.cast import SCENE_MODEL, Cue, cast
from actors.rehearsal.line import FrameError, Framer, MessageError, ServerLine, wants_line, welcome
from actors.rehearsal.prompt import NotAPromptError, Prompt
from actors.rehearsal.script import Scene, SceneError, Status, read_scenes
from actors.rehearsal.server import Request, RequestError, RequestReader
from actors.rehearsal.wires import BY_PATH, Spoken

DEFAULT_MODEL = "rehearsal"

HOST = "127.0.0.1"
"""Nobody else's business; also why it needs no key."""

LINE_PATH = "/v1/responses"

REMEMBERED = 256
"""Performances kept for whoever asks what was played."""

REMEMBERED_REQUESTS = 4096
"""Different requests whose attempts are counted, for scenes that go wrong at first."""

Ended = Literal["whole", "cut", "client left"]


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, for tests and for the curious. ``prompt`` is what was understood of the request."""

    scene: str
    step: int
    attempt: int
    prompt: Prompt
    ended: Ended
    items_sent: int | None = None
    """Over a line: how many items of input this request held itself."""


class Stage:
    """A rehearsal server: its scenes, where it can be reached, what it has played.

    Started again after a crash it takes the same port, so that nobody has to be told.
    """

    def __init__(self, ports: Ports, scenes: tuple[Scene, ...] | None = None, *, port: int = 0) -> None:
        self.scenes = shipped_scenes() if scenes is None else scenes
        self.performances: deque[Performance] = deque(maxlen=REMEMBERED)
        self.websockets = True
        """Whether the Responses API is also spoken over WebSocket."""
        self.handshakes = 0
        """WebSocket connections so far."""
        self.streaming = 0
        """Answers under way."""
        self._ports = ports
        self._port = port
        self._attempts: OrderedDict[str, int] = OrderedDict()

    @property
    def base_url(self) -> str:
        """For a provider's `base_url`, once it serves."""
        return f"http://{HOST}:{self._port}/v1"

    async def serve(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; starts with `base_url`. Raises OSError if the port is taken."""
        listener = await self._ports.network.listen(HOST, self._port)
        try:
            self._port = int(listener.address.rpartition(":")[2])
            async with trio.open_nursery() as nursery:
                task_status.started(self.base_url)
                while True:
                    nursery.start_soon(self._converse, await listener.accept())
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()

    async def _converse(self, stream: ByteStream) -> None:
        reader = RequestReader()
        try:
            while True:
                request = reader.take()
                if request is None:
                    data = await stream.receive_some()
                    if not data:
                        return
                    reader.feed(data)
                    continue
                if reader.beyond is not None:
                    await self._speak(request, stream, reader.beyond)
                    return
                if not await self._answer(request, stream, reader) or not request.keep_alive:
                    return
        except RequestError as problem:
            await _say_goodbye(stream, server.error(problem.status, "bad_request", str(problem)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client left
        finally:
            stream.close_now()

    async def _answer(self, request: Request, stream: ByteStream, reader: RequestReader) -> bool:
        """Whether the connection can go on."""
        match request.method, request.path.removesuffix("/"):
            case "GET", "/v1/models":
                await stream.send_all(server.whole(200, msgspec.json.encode(self._models())))
            case "POST", path if path in BY_PATH:
                return await self._respond(request, BY_PATH[path], stream, reader)
            case method, path:
                message = f"{method} {path}: the rehearsal server answers POST {', '.join(BY_PATH)} and GET /v1/models"
                await stream.send_all(server.error(404, "not_found", message))
        return True

    async def _speak(self, request: Request, stream: ByteStream, early: bytes) -> None:
        """Go on in another protocol, if it is the one we know."""
        path = request.path.removesuffix("/")
        if not (self.websockets and wants_line(request) and path == LINE_PATH):
            await stream.send_all(server.error(426, "upgrade_required", "the rehearsed model speaks HTTP here"))
            return
        self.handshakes += 1
        await stream.send_all(welcome(request))
        line = ServerLine(stream)
        with contextlib.suppress(FrameError):
            async with trio.open_nursery() as nursery:

                async def listen() -> None:
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        await line.listen(early)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(listen)
                async for message in line.messages:
                    if not await self._perform_on(line, message, stream):
                        break
                nursery.cancel_scope.cancel()

    async def _perform_on(self, line: ServerLine, message: bytes, stream: ByteStream) -> bool:
        """Answer one message; whether the connection can go on."""
        wire = BY_PATH[LINE_PATH]
        try:
            whole = line.memory.whole(message)
            prompt = wire.read(msgspec.json.encode(whole))
            attempt = self._count(prompt)
            cue = cast(self.scenes, prompt, attempt)
        except (MessageError, NotAPromptError, SceneError) as error:
            known = error if isinstance(error, MessageError) else MessageError("rehearsal_scene", str(error))
            await line.say(known.event())
            return True
        ended: Ended = "client left"
        self.streaming += 1
        response: dict[str, Any] = {}
        try:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                ended = await self._perform(cue, prompt, wire, stream, framer=Framer(), response=response)
        finally:
            self.streaming -= 1
            sent = len(msgspec.json.decode(message).get("input") or ())
            self.performances.append(
                Performance(
                    scene=cue.scene, step=cue.step, attempt=attempt, prompt=prompt, ended=ended, items_sent=sent
                )
            )
        if response:
            line.memory.keep(whole, response)
        return ended == "whole"

    async def _respond(self, request: Request, wire: Spoken, stream: ByteStream, reader: RequestReader) -> bool:
        try:
            prompt = wire.read(request.body)
            attempt = self._count(prompt)
            cue = cast(self.scenes, prompt, attempt)
        except NotAPromptError as error:
            await stream.send_all(
                server.error(400, "invalid_request", f"not a request of the {wire.name} API: {error}")
            )
            return True
        except SceneError as error:
            await stream.send_all(server.error(400, "rehearsal_scene", str(error)))
            return True
        ended: Ended = "client left"
        self.streaming += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_notice_leaving, stream, reader, nursery.cancel_scope)
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    ended = await self._perform(cue, prompt, wire, stream)
                nursery.cancel_scope.cancel()
        finally:
            self.streaming -= 1
            self.performances.append(
                Performance(scene=cue.scene, step=cue.step, attempt=attempt, prompt=prompt, ended=ended)
            )
        return ended == "whole"

    async def _perform(
        self,
        cue: Cue,
        prompt: Prompt,
        wire: Spoken,
        stream: ByteStream,
        *,
        framer: Framer | None = None,
        response: dict[str, Any] | None = None,
    ) -> Ended:
        """Play one answer; over a line if there is a ``framer``, and then ``response`` is filled with it."""
        first = cue.acts[0] if cue.acts else None
        if isinstance(first, Status) and framer is not None:
            await stream.send_all(framer.frames(_status_event(first.code, cue.names.fill(first.body))))
            return "whole"
        if isinstance(first, Status):
            headers = {"content-type": first.content_type, **first.headers}
            await stream.send_all(server.whole(first.code, cue.names.fill(first.body).encode(), headers=headers))
            return "whole"
        clock = self._ports.clock
        playing = wire.playing(cue, prompt, serial=self._ports.entropy.token(8).hex(), now=clock.now)
        beats = playing.beats()
        try:
            if not prompt.stream:
                for _ in beats:
                    pass
                await stream.send_all(server.whole(200, msgspec.json.encode(playing.response)))
                return "whole"
            opening = next(beats)
            assert isinstance(opening, bytes), "an answer opens with a word"
            await stream.send_all(
                server.stream_head() + server.chunk(opening) if framer is None else framer.frames(opening)
            )
            due = clock.monotonic()
            for beat in beats:
                match beat:
                    case float():
                        due += beat
                        await trio.sleep_until(due)
                    case bytes():
                        await stream.send_all(server.chunk(beat) if framer is None else framer.frames(beat))
                        due = max(due, clock.monotonic() - CATCH_UP_SECONDS)
                    case "end":
                        if framer is None:
                            await stream.send_all(server.LAST_CHUNK)
                        elif playing.response.get("status") not in ("completed", "failed", "incomplete"):
                            return "cut"  # a line has no other end than its own
                        if response is not None:
                            response.update(playing.response)
                        return "whole"
                    case "close":
                        return "cut"
                    case "hang":
                        await trio.sleep_forever()
        except SceneError as error:
            # The names of a step are checked before it starts; what is found out later must break it off.
            broken = playing.scene_error(error)
            if framer is not None:
                await stream.send_all(framer.frames(broken))
            else:
                await stream.send_all(server.chunk(broken) if prompt.stream else _as_answer(error))
        return "cut"

    def _count(self, prompt: Prompt) -> int:
        """How often this very request came before."""
        attempt = self._attempts.pop(prompt.fingerprint, 0)
        self._attempts[prompt.fingerprint] = attempt + 1
        if len(self._attempts) > REMEMBERED_REQUESTS:
            self._attempts.popitem(last=False)
        return attempt

    def _models(self) -> dict[str, object]:
        names = [DEFAULT_MODEL, *(f"{SCENE_MODEL}{scene.name}" for scene in self.scenes)]
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "rehearsal"} for name in names]
        return {"object": "list", "data": data}


CATCH_UP_SECONDS = 0.25
"""A stream that was held up by its reader makes up at most so much: a model would not either."""


async def run(ctx: Context, stage: Stage, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """``stage`` as a supervised actor."""
    ctx.state = "serving"
    await stage.serve(task_status=task_status)


def shipped_scenes() -> tuple[Scene, ...]:
    """The scenes of this package."""
    folder = importlib.resources.files(__package__) / "scenes"
    return read_scenes({file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".toml")})


async def _notice_leaving(stream: ByteStream, reader: RequestReader, scope: trio.CancelScope) -> None:
    """Cancel ``scope`` when the client hangs up in the middle of an answer."""
    try:
        while data := await stream.receive_some():
            reader.feed(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError, RequestError):
        pass
    scope.cancel()


async def _say_goodbye(stream: ByteStream, last_words: bytes) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_all(last_words)


def _status_event(code: int, body: str) -> bytes:
    """An HTTP error as it is said on a line."""
    try:
        error = msgspec.json.decode(body).get("error")
    except (msgspec.DecodeError, AttributeError):
        error = {"message": body}
    return b"data: %b\n\n" % msgspec.json.encode({"type": "error", "status": code, "error": error})


def _as_answer(error: SceneError) -> bytes:
    return server.error(400, "rehearsal_scene", str(error))
