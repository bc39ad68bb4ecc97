"""Byte streams and listeners: plain, TLS and simulated behave alike."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.ports import Network
from actors.ports.network import ROUND_BYTES, ByteStream
from actors.ports.production import SocketNetwork
from actors.ports.production.sockets import SocketListener
from actors.ports.production.tls import TlsStream
from tests.actors.ports.pairs import connected, receive_exactly
from tests.simulation import World

HOST = "127.0.0.1"
BIG = os.urandom(3_000_001)


class Certificate:
    """A server's context with a fresh certificate for 127.0.0.1, and a client's that trusts it."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("no openssl program to make a certificate with")
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        command = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={HOST} -addext"
        arguments = [*command.split(), f"subjectAltName=IP:{HOST}", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([openssl, *arguments], check=True, capture_output=True)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(certificate, key)
        self.client = ssl.create_default_context(cafile=str(certificate))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


async def tls_pair(network: Network, certificate: Certificate) -> tuple[TlsStream, TlsStream]:
    near, far = await connected(network)
    ends: list[TlsStream] = []

    async def serve() -> None:
        ends.append(await TlsStream.wrap(far, certificate.server, server_side=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        client = await TlsStream.wrap(near, certificate.client, server_hostname=HOST)
    return client, ends[0]


@pytest.fixture(params=["plain", "tls", "simulated"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """Both ends of a connection."""
    if request.param == "plain":
        near, far = await connected(SocketNetwork())
    elif request.param == "tls":
        near, far = await tls_pair(SocketNetwork(), request.getfixturevalue("certificate"))
    else:
        near, far = await connected(World(3).outside.network)
    yield near, far
    near.close_now()
    far.close_now()


Pair = tuple[ByteStream, ByteStream]


async def test_all_that_is_sent_arrives_however_slowly_it_is_read(pair: Pair) -> None:
    near, far = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, BIG)
        with trio.fail_after(20):
            assert await receive_exactly(far, len(BIG)) == BIG


async def test_sending_without_waiting_takes_what_fits_and_tells_how_much(pair: Pair) -> None:
    near, far = pair
    sent = 0
    received = bytearray()
    with trio.fail_after(20):
        while sent < len(BIG):
            taken = near.try_send(memoryview(BIG)[sent:])
            sent += taken
            if taken == 0:
                piece = await far.receive_some(100_000)
                received += piece
        while len(received) < len(BIG):
            received += await far.receive_some()
    assert received == BIG


async def test_a_full_stream_becomes_writable_when_its_peer_reads(pair: Pair) -> None:
    near, far = pair
    sent = 0
    received = bytearray()

    async def read() -> None:
        while data := await far.receive_some():
            received.extend(data)

    async with trio.open_nursery() as nursery:
        while (taken := near.try_send(bytes(50_000))) != 0:
            sent += taken
        nursery.start_soon(read)
        with trio.fail_after(5):
            await near.wait_writable()
            sent += near.try_send(bytes(5))
            await near.aclose()
    assert len(received) == sent


async def test_receiving_without_waiting_gives_none_then_data_then_the_end(pair: Pair) -> None:
    near, far = pair
    assert far.try_receive(100) is None
    await near.send_all(b"data")
    got = b""
    with trio.fail_after(5):
        while len(got) < 4:
            got += far.try_receive(100) or b""
            await trio.lowlevel.checkpoint()
        await near.aclose()
        while (last := far.try_receive(100)) is None:
            await trio.lowlevel.checkpoint()
    assert (got, last) == (b"data", b"")


async def test_closing_wakes_the_reader_and_refuses_everything_after(pair: Pair) -> None:
    near, _ = pair

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            near.close_now()
            near.close_now()
        for attempt in (lambda: near.try_send(b"x"), lambda: near.try_receive(1)):
            with pytest.raises(trio.ClosedResourceError):
                attempt()
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await near.wait_writable()


async def test_a_dead_peer_breaks_the_stream(pair: Pair) -> None:
    near, far = pair
    await near.send_all(b"never read")
    far.close_now()

    async def send_until_it_breaks() -> None:
        while True:
            near.try_send(b"x")
            await trio.lowlevel.checkpoint()

    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
        await send_until_it_breaks()


async def test_two_senders_at_once_are_refused(pair: Pair) -> None:
    near, _ = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, bytes(40_000_000))
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await near.send_all(b"x")
        nursery.cancel_scope.cancel()


# --- TLS ------------------------------------------------------------------------------------------------------------


async def test_a_tls_stream_in_the_rounds_is_called_until_its_decrypted_data_is_read(certificate: Certificate) -> None:
    """Many records come with one read of the socket, which is silent after that."""
    network = SocketNetwork()
    client, server = await tls_pair(network, certificate)
    got = bytearray()
    done = trio.Event()

    def read() -> None:
        data = client.try_receive(10)
        assert data is None or len(data) <= 10
        if data == b"":
            watch.close()
            done.set()
        got.extend(data or b"")

    async with trio.open_nursery() as nursery:
        await nursery.start(network.rounds.run)
        watch = network.rounds.watch(client, read)
        for number in range(200):
            await server.send_all(b"%04d" % number)
        await server.aclose()
        with trio.fail_after(5):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert got == b"".join(b"%04d" % number for number in range(200))
    client.close_now()


async def test_a_resumed_tls_stream_is_read_although_its_socket_is_silent(certificate: Certificate) -> None:
    network = SocketNetwork()
    client, server = await tls_pair(network, certificate)
    got = bytearray()
    read_once, done = trio.Event(), trio.Event()

    def read() -> None:
        got.extend(client.try_receive(4) or b"")
        if len(got) == 4:
            watch.pause()
            read_once.set()
        if len(got) == 12:
            done.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(network.rounds.run)
        await server.send_all(b"one two tree")
        watch = network.rounds.watch(client, read)
        with trio.fail_after(5):
            await read_once.wait()
            await wait_all_tasks_blocked(0.01)
            assert got == b"one "
            watch.resume()
            await done.wait()
        nursery.cancel_scope.cancel()
    client.close_now()
    server.close_now()


async def test_a_tls_stream_cut_without_goodbye_is_broken_not_ended(certificate: Certificate) -> None:
    client, server = await tls_pair(SocketNetwork(), certificate)
    await server.send_all(b"data")
    server.close_now()
    with trio.fail_after(5):
        assert await receive_exactly(client, 4) == b"data"
        with pytest.raises(trio.BrokenResourceError, match="goodbye"):
            await client.receive_some()
        with pytest.raises(trio.BrokenResourceError, match="goodbye"):
            client.try_receive(1)
    client.close_now()


async def test_connecting_with_tls_checks_the_certificate(certificate: Certificate) -> None:
    network = SocketNetwork()
    listener = await network.listen(HOST, 0)
    port = int(listener.address.rpartition(":")[2])

    async def serve() -> None:
        while True:
            stream = await listener.accept()
            with contextlib.suppress(ssl.SSLError, trio.BrokenResourceError):
                await (await TlsStream.wrap(stream, certificate.server, server_side=True)).send_all(b"hello")
            stream.close_now()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(5):
            stream = await network.connect(HOST, port, tls=certificate.client)
            assert await receive_exactly(stream, 5) == b"hello"
            stream.close_now()
            with pytest.raises(ssl.SSLCertVerificationError):
                await network.connect(HOST, port, tls=certificate.client, server_hostname="elsewhere.test")
            with pytest.raises(ssl.SSLCertVerificationError):
                await network.connect(HOST, port, tls=ssl.create_default_context())
        nursery.cancel_scope.cancel()
    await listener.aclose()


async def test_a_peer_that_leaves_during_the_handshake_is_a_connection_error(certificate: Certificate) -> None:
    network = SocketNetwork()
    listener = await network.listen(HOST, 0)

    async def serve() -> None:
        (await listener.accept()).close_now()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(5), pytest.raises(OSError):  # noqa: PT011  # SSLEOFError or a reset, as the timing falls
            await network.connect(HOST, int(listener.address.rpartition(":")[2]), tls=certificate.client)
    await listener.aclose()


# --- listeners and connecting ---------------------------------------------------------------------------------------


async def test_a_port_in_use_and_a_refused_connection_say_where() -> None:
    for network in (SocketNetwork(), World(1).outside.network):
        listener = await network.listen(HOST, 0)
        port = int(listener.address.rpartition(":")[2])
        with pytest.raises(OSError, match=f"cannot listen on {HOST}:{port}") as raised:
            await network.listen(HOST, port)
        assert raised.value.errno == errno.EADDRINUSE
        await listener.aclose()
        with pytest.raises(ConnectionRefusedError, match=f"cannot connect to {HOST}:{port}"):
            await network.connect(HOST, port)
        with pytest.raises(trio.ClosedResourceError):
            await listener.accept()


async def test_a_name_is_looked_up() -> None:
    network = SocketNetwork()
    listener = await network.listen("localhost", 0)
    stream = await network.connect("localhost", int(listener.address.rpartition(":")[2]))
    peer = await listener.accept()
    await stream.send_all(b"hello")
    assert await receive_exactly(peer, 5) == b"hello"
    stream.close_now()
    peer.close_now()
    await listener.aclose()


class Moody(socket.socket):
    """A listening socket whose accept fails as told before it works."""

    troubles: tuple[int, ...] = ()

    def accept(self) -> tuple[socket.socket, object]:
        if self.troubles:
            number, *rest = self.troubles
            self.troubles = tuple(rest)
            raise OSError(number, os.strerror(number))
        return super().accept()


async def test_a_listener_survives_a_full_file_table_and_aborted_connections(
    autojump_clock: trio.testing.MockClock,
) -> None:
    sock = Moody(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((HOST, 0))
    sock.listen()
    sock.troubles = (errno.EMFILE, errno.ECONNABORTED, errno.ENFILE)
    listener = SocketListener(sock)
    with socket.create_connection(sock.getsockname()):
        (await listener.accept()).close_now()
    assert trio.current_time() == pytest.approx(0.2)
    sock.troubles = (errno.EINVAL,)
    with pytest.raises(OSError, match="Invalid argument"):
        await listener.accept()
    await listener.aclose()


async def test_a_unix_socket_is_private_and_replaces_only_a_dead_one(tmp_path: Path) -> None:
    network = SocketNetwork()
    path = str(tmp_path / "socket")
    first = await network.listen_unix(path)
    assert first.address == path
    assert os.stat(path).st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="cannot listen on"):
        await network.listen_unix(path)
    stream = await network.connect_unix(path)
    stream.close_now()
    await first.aclose()
    assert os.listdir(tmp_path) == []

    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    second = await network.listen_unix(path)
    await second.aclose()

    tmp_path.joinpath("socket").write_text("somebody's file")
    with pytest.raises(OSError, match="cannot listen on"):
        await network.listen_unix(path)
    assert tmp_path.joinpath("socket").read_text() == "somebody's file"
    with pytest.raises(OSError, match="cannot connect to"):
        await network.connect_unix(str(tmp_path / "nothing"))


async def test_connections_do_not_wait_for_more_data_to_send() -> None:
    near, far = await connected(SocketNetwork())
    for stream in (near, far):
        with socket.socket(fileno=os.dup(stream.fileno())) as copy:  # type: ignore[attr-defined]  # of the real one
            assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        stream.close_now()
    assert ROUND_BYTES >= 4096
