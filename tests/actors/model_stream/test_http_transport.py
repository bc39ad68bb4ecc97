"""The HTTP transport against scripted servers, on real sockets and on the simulated network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.model_stream.http import BODY_EXTENSION, HttpTransport, ResponseBody, open_client
from actors.ports import Ports
from actors.ports.network import ByteStream
from actors.ports.production import production_ports
from tests.simulation import World

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Script = Callable[[ByteStream], Awaitable[None]]


@pytest.fixture(params=["real", "simulated"])
async def ports(request: pytest.FixtureRequest) -> AsyncIterator[Ports]:
    """Ports whose rounds run."""
    world = World(17).outside
    chosen = production_ports(world.processes) if request.param == "real" else world
    async with trio.open_nursery() as nursery:
        await nursery.start(chosen.network.rounds.run)
        yield chosen
        nursery.cancel_scope.cancel()


class Server:
    """Runs a script for each connection and keeps what it was asked."""

    def __init__(self, ports: Ports, script: Script | None) -> None:
        self.ports = ports
        self.url = ""
        self.connections: list[ByteStream] = []
        self.requests: list[bytes] = []
        self.script = script

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        listener = await self.ports.network.listen("127.0.0.1", 0)
        self.url = f"http://{listener.address}/"
        async with trio.open_nursery() as nursery:
            task_status.started()
            try:
                while True:
                    stream = await listener.accept()
                    self.connections.append(stream)
                    nursery.start_soon(self._talk, stream)
            finally:
                for stream in self.connections:
                    stream.close_now()
                with trio.CancelScope(shield=True):
                    await listener.aclose()

    async def _talk(self, stream: ByteStream) -> None:
        with contextlib.suppress(trio.ClosedResourceError):  # a test closed it
            if self.script is not None:
                await self.script(stream)
                return
            while await self.next_request(stream):
                await stream.send_all(OK)

    async def next_request(self, stream: ByteStream) -> bytes:
        """A request without a body or with a Content-Length; b"" at the end."""
        got = b""
        while b"\r\n\r\n" not in got:
            data = await stream.receive_some()
            if not data:
                return b""
            got += data
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(httpx2.Headers(_headers(head)).get("content-length", "0"))
        while len(body) < length:
            body += await stream.receive_some()
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


@asynccontextmanager
async def serving(ports: Ports, script: Script | None = None) -> AsyncIterator[Server]:
    server = Server(ports, script)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve)
            yield server
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def client_of(ports: Ports, **options: object) -> AsyncIterator[tuple[httpx2.AsyncClient, HttpTransport]]:
    transport = HttpTransport(ports.network, ports.threads, **options)  # type: ignore[arg-type]  # its own options
    async with open_client(ports, transport=transport) as client:
        yield client, transport


def replying(*pieces: bytes) -> Callable[[Server], Script]:
    """A script that answers one request with pieces and closes."""

    def make(server: Server) -> Script:
        async def script(stream: ByteStream) -> None:
            await server.next_request(stream)
            for piece in pieces:
                await stream.send_all(piece)
            await stream.aclose()

        return script

    return make


async def ended(stream: ByteStream) -> bool:
    """Wait for the client to be gone."""
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass
    return True


# --- requests and connections ---------------------------------------------------------------------------------------


async def test_requests_follow_one_another_on_one_connection(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        first = await client.post(server.url + "v1?q=1", content=b"{}", headers={"X-Key": "k"})
        second = await client.get(server.url)
        assert (first.status_code, first.content, first.reason_phrase, first.http_version) == (
            200,
            b"ok",
            "OK",
            "HTTP/1.1",
        )
        assert second.text == "ok"
        assert len(server.connections) == 1
        assert transport.pool.open_connections == transport.pool.idle_connections == 1
        assert server.requests[0].startswith(b"POST /v1?q=1 HTTP/1.1\r\n")
        assert server.requests[0].endswith(b"\r\n\r\n{}")
        assert b"accept-encoding: identity" in server.requests[0].lower()
    assert transport.pool.open_connections == 0


async def test_requests_at_the_same_time_have_connections_of_their_own(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports, max_idle=3) as (client, transport):
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(client.get, server.url)
        assert len(server.requests) == 10
        assert transport.pool.idle_connections == transport.pool.open_connections == min(3, len(server.connections))


async def test_an_idle_connection_that_the_server_closes_is_dropped_at_once(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        await client.get(server.url)
        server.connections[0].close_now()
        while transport.pool.open_connections:
            await wait_all_tasks_blocked(0.005)
        assert (await client.get(server.url)).text == "ok"
        assert len(server.connections) == 2


async def test_an_idle_connection_expires(autojump_clock: trio.testing.MockClock) -> None:
    ports = World(1).outside
    async with trio.open_nursery() as nursery:
        await nursery.start(ports.network.rounds.run)
        async with serving(ports) as server, client_of(ports, idle_seconds=5.0) as (client, _):
            await client.get(server.url)
            await trio.sleep(4)
            await client.get(server.url)
            assert len(server.connections) == 1
            await trio.sleep(5.1)
            await client.get(server.url)
            assert len(server.connections) == 2
        nursery.cancel_scope.cancel()


async def test_at_the_limit_a_request_waits_for_a_connection_or_takes_over_an_idle_one(ports: Ports) -> None:
    async with serving(ports) as server, serving(ports) as other, client_of(ports, max_connections=1) as (client, _):
        answers: list[str] = []

        async def ask() -> None:
            answers.append((await client.get(other.url)).text)

        server.script = replying(CHUNKED, b"1\r\n!\r\n")(server)
        async with trio.open_nursery() as nursery, client.stream("GET", server.url):
            with pytest.raises(httpx2.PoolTimeout, match="no connection became free"):
                await client.get(other.url, timeout=httpx2.Timeout(None, pool=0.01))
            nursery.start_soon(ask)
            await wait_all_tasks_blocked(0.005)
            assert other.connections == []
        assert answers == ["ok"]
        server.script = None
        # The idle connection to the one makes way for a connection to the other.
        assert (await client.get(server.url)).text == "ok"
        await ask()
        assert len(other.connections) == 2


async def test_a_get_whose_idle_connection_died_unseen_is_sent_again_but_a_post_is_not(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):

        async def one_answer(stream: ByteStream) -> None:
            await server.next_request(stream)
            await stream.send_all(OK)
            # It takes the second request and dies over it: whether it acted on it nobody knows.
            await server.next_request(stream)
            await stream.aclose()

        server.script = one_answer
        await client.get(server.url)
        assert (await client.get(server.url)).text == "ok"
        assert len(server.connections) == 2
        with pytest.raises(httpx2.RemoteProtocolError, match="without an answer"):
            await client.post(server.url, content=b"{}")


async def test_a_body_of_unknown_length_is_sent_in_chunks(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):
        got = bytearray()

        async def script(stream: ByteStream) -> None:
            while not got.endswith(b"0\r\n\r\n"):
                got.extend(await stream.receive_some())
            await stream.send_all(OK)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield b""
            yield b"twelve bytes"

        server.script = script
        assert (await client.post(server.url, content=pieces())).text == "ok"
        assert got.partition(b"\r\n\r\n")[2] == b"3\r\none\r\nc\r\ntwelve bytes\r\n0\r\n\r\n"


async def test_a_refusal_that_comes_while_we_still_send_is_heard(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):

        async def script(stream: ByteStream) -> None:
            await stream.receive_some(10)
            await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            stream.close_now()

        server.script = script
        response = await client.post(server.url, content=bytes(30_000_000))
        assert response.status_code == 413
        assert transport.pool.open_connections == 0


# --- errors ---------------------------------------------------------------------------------------------------------


async def test_failures_are_those_of_httpx2(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        nobody = "http://127.0.0.1:1/"
        with pytest.raises(httpx2.ConnectError, match=r"cannot reach 127\.0\.0\.1:1"):
            await client.get(nobody)
        with pytest.raises(httpx2.UnsupportedProtocol, match="ftp"):
            await client.get("ftp://127.0.0.1/")
        with pytest.raises(httpx2.LocalProtocolError):
            await client.get(server.url, headers=[("A", "b\r\nc: d")])
        server.script = replying()(server)
        with pytest.raises(httpx2.RemoteProtocolError, match="without an answer"):
            await client.get(server.url)
        server.script = replying(b"rubbish\r\n\r\n")(server)
        with pytest.raises(httpx2.RemoteProtocolError, match="not HTTP"):
            await client.get(server.url)
        server.script = replying(CHUNKED, b"5\r\nhal")(server)
        with pytest.raises(httpx2.RemoteProtocolError, match="before the end") as raised:
            await client.get(server.url)
        assert str(raised.value.request.url) == server.url
        assert transport.pool.open_connections == 0


async def test_timeouts_are_those_of_httpx2(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        finish = trio.Event()

        async def silent(stream: ByteStream) -> None:
            await server.next_request(stream)
            await stream.send_all(CHUNKED if b"begin" in server.requests[-1] else b"")
            await finish.wait()

        server.script = silent
        with pytest.raises(httpx2.ReadTimeout, match="did not answer within"):
            await client.get(server.url, timeout=0.02)
        with pytest.raises(httpx2.ReadTimeout, match="sent nothing within"):
            await client.get(server.url + "begin", timeout=0.02)
        assert transport.pool.open_connections == 0
        finish.set()


async def test_cancelling_closes_the_connection_at_once(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        closed = trio.Event()

        async def script(stream: ByteStream) -> None:
            await server.next_request(stream)
            await stream.send_all(CHUNKED + b"2\r\nhi\r\n")
            if await ended(stream):
                closed.set()

        server.script = script
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                async with client.stream("GET", server.url) as response:
                    async for chunk in response.aiter_bytes():
                        assert chunk in (b"hi", b"h", b"i")
                        nursery.cancel_scope.cancel()

            nursery.start_soon(read)
        assert transport.pool.open_connections == 0
        await closed.wait()


# --- bodies ---------------------------------------------------------------------------------------------------------


class Delivery:
    """Takes a body in the rounds."""

    def __init__(self, response: httpx2.Response) -> None:
        body = response.extensions[BODY_EXTENSION]
        assert isinstance(body, ResponseBody)
        self.chunks: list[bytes] = []
        self.ends: list[Exception | None] = []
        self.over = trio.Event()
        self.changed = trio.Event()
        self.watch = body.deliver(self.on_data, self.on_end)

    @property
    def text(self) -> bytes:
        return b"".join(self.chunks)

    def on_data(self, chunk: bytes) -> None:
        assert chunk
        assert not self.ends
        self.chunks.append(chunk)
        self.changed.set()

    def on_end(self, error: Exception | None) -> None:
        self.ends.append(error)
        self.over.set()

    async def wait_for(self, text: bytes) -> None:
        while self.text != text:
            await self.changed.wait()
            self.changed = trio.Event()


async def test_a_body_is_iterated_as_any_of_httpx2(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        for pieces, text in (
            ([CHUNKED, b"5\r\nhello\r\n", b"6\r\n world\r\n", b"0\r\n\r\n"], "hello world"),
            ([b"HTTP/1.1 200 OK\r\n\r\n", b"until ", b"the end"], "until the end"),
        ):
            server.script = replying(*pieces)(server)
            async with client.stream("GET", server.url) as response:
                assert "".join([part async for part in response.aiter_text()]) == text
                with pytest.raises(httpx2.StreamConsumed):
                    response.extensions[BODY_EXTENSION].deliver(print, print)
        server.script = replying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")(server)
        assert (await client.head(server.url)).headers["content-length"] == "9"
        while transport.pool.open_connections:
            await wait_all_tasks_blocked(0.005)


async def test_a_delivered_body_comes_in_rounds_and_ends_once(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        go_on = trio.Event()

        async def script(stream: ByteStream) -> None:
            await server.next_request(stream)
            await stream.send_all(CHUNKED + b"5\r\nfirst\r\n")
            await go_on.wait()
            await stream.send_all(b"7\r\n second\r\n0\r\n\r\n")
            await server.next_request(stream)
            await stream.send_all(OK)

        server.script = script
        async with client.stream("POST", server.url, content=b"{}") as response:
            delivery = Delivery(response)
            assert delivery.chunks == []
            await delivery.wait_for(b"first")
            go_on.set()
            await delivery.over.wait()
            assert (delivery.text, delivery.ends) == (b"first second", [None])
            # The connection went back to the pool already.
            assert transport.pool.idle_connections == 1
        assert (await client.get(server.url)).text == "ok"
        assert len(server.connections) == 1
        assert delivery.ends == [None]


async def test_a_body_that_came_whole_with_its_head_is_delivered_too(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):
        for _ in range(2):
            async with client.stream("GET", server.url) as response:
                delivery = Delivery(response)
                await delivery.over.wait()
                assert (delivery.text, delivery.ends) == (b"ok", [None])
        assert len(server.connections) == 1


async def test_a_paused_body_waits_even_with_what_came_with_the_head(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):
        server.script = replying(CHUNKED + b"2\r\nhi\r\n", b"1\r\n!\r\n0\r\n\r\n")(server)
        async with client.stream("GET", server.url) as response:
            delivery = Delivery(response)
            delivery.watch.pause()
            for _ in range(3):
                await wait_all_tasks_blocked(0.005)
            assert (delivery.chunks, delivery.ends) == ([], [])
            delivery.watch.resume()
            delivery.watch.resume()
            await delivery.over.wait()
            assert (delivery.text, delivery.ends) == (b"hi!", [None])


async def test_a_delivered_body_that_breaks_off_says_so(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        server.script = replying(CHUNKED, b"2\r\nhi\r\n")(server)
        async with client.stream("GET", server.url) as response:
            delivery = Delivery(response)
            await delivery.over.wait()
        assert delivery.text == b"hi"
        assert [type(end) for end in delivery.ends] == [httpx2.RemoteProtocolError]
        assert isinstance(delivery.ends[0], httpx2.RequestError)
        assert str(delivery.ends[0].request.url) == server.url
        assert transport.pool.open_connections == 0


async def test_closing_a_delivered_body_closes_its_connection_and_is_the_end_of_callbacks(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        closed = trio.Event()

        async def script(stream: ByteStream) -> None:
            await server.next_request(stream)
            await stream.send_all(CHUNKED + b"2\r\nhi\r\n")
            if await ended(stream):
                closed.set()

        server.script = script
        async with client.stream("GET", server.url) as response:
            delivery = Delivery(response)
            await delivery.wait_for(b"hi")
            delivery.watch.close()
            delivery.watch.close()
            assert transport.pool.open_connections == 0
            await closed.wait()
        # Leaving the response does the same.
        closed = trio.Event()
        async with client.stream("GET", server.url) as response:
            second = Delivery(response)
            await second.wait_for(b"hi")
        await closed.wait()
        assert (delivery.ends, second.ends) == ([], [])


async def test_closing_the_client_ends_a_delivered_body(ports: Ports) -> None:
    async with serving(ports) as server:
        server.script = lambda stream: _begin_and_stay(server, stream)
        async with client_of(ports) as (client, transport):
            request = client.build_request("GET", server.url)
            delivery = Delivery(await client.send(request, stream=True))
            await delivery.wait_for(b"hi")
        assert [str(end) for end in delivery.ends] == ["the HTTP client was closed under this response"]
        assert transport.pool.open_connections == 0


async def _begin_and_stay(server: Server, stream: ByteStream) -> None:
    await server.next_request(stream)
    await stream.send_all(CHUNKED + b"2\r\nhi\r\n")
    await ended(stream)


async def test_a_reader_that_raises_gets_its_own_error_as_the_end(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, transport):
        server.script = replying(CHUNKED + b"2\r\nhi\r\n", b"1\r\n!\r\n0\r\n\r\n")(server)
        error = ValueError("not what I wanted")
        ends: list[Exception | None] = []
        over = trio.Event()

        def on_data(_: bytes) -> None:
            raise error

        def on_end(end: Exception | None) -> None:
            ends.append(end)
            over.set()

        async with client.stream("GET", server.url) as response:
            response.extensions[BODY_EXTENSION].deliver(on_data, on_end)
            await over.wait()
            for _ in range(3):
                await wait_all_tasks_blocked(0.005)
        assert ends == [error]
        assert transport.pool.open_connections == 0


async def test_a_compressed_body_is_iterated_but_not_delivered(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):
        server.script = replying(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n",
            bytes.fromhex("1f8b08000000000002ffcbcf0600 47dddc7902000000".replace(" ", "")),
        )(server)
        async with client.stream("GET", server.url) as response:
            with pytest.raises(httpx2.DecodingError, match="compressed its answer"):
                response.extensions[BODY_EXTENSION].deliver(print, print)
            assert await response.aread() == b"ok"


async def test_a_closed_response_cannot_be_delivered(ports: Ports) -> None:
    async with serving(ports) as server, client_of(ports) as (client, _):
        server.script = replying(CHUNKED)(server)
        async with client.stream("GET", server.url) as response:
            pass
        with pytest.raises(httpx2.StreamClosed):
            response.extensions[BODY_EXTENSION].deliver(print, print)
