"""Claim: reading a hundred streams in rounds costs a fraction of what a task per stream costs.

A server in a process of its own sends one small chunk to each of `STREAMS` responses, pauses, and does it again, as
paced model streams look from here. Counted is the CPU time per chunk of whoever reads: httpx2 with its own transport
(httpcore on trio) and a task per response; our transport, iterated by a task per response; and our transport with its
bodies read by the rounds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from time import thread_time

import httpx2
import trio

from actors.model_stream.http import BODY_EXTENSION, HttpTransport, ResponseBody
from actors.ports.network import Rounds
from actors.ports.production import SocketNetwork, WorkerThreads
from bench.harness import Case, Suite

STREAMS = 100

MIN_CHUNKS = 20
MAX_CHUNKS = 200
"""Per stream and sample: enough that the ends of the bodies weigh little; bounded, because a sample mostly waits."""

Read = Callable[[httpx2.Response, Rounds], Awaitable[None]]
"""Read one body to its end."""


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        Suite(
            name="http_streams",
            claim=f"{STREAMS} responses at once, one delta at a time",
            unit="chunk",
            cases=(
                Case(name="httpx2, a task per stream", run=lambda units: _sample(units, _iterate, ours=False)),
                Case(name="our transport, a task each", run=lambda units: _sample(units, _iterate, ours=True)),
                Case(name="our transport, in rounds", run=lambda units: _sample(units, _in_rounds, ours=True)),
            ),
        ),
    )


@cache
def _server_port() -> int:
    """Start the other end. It lives as long as our end of its standard input, that is, as long as we do."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.paced_server", str(STREAMS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    return int(server.stdout.readline())


def _sample(units: int, read: Read, *, ours: bool) -> float:
    """Seconds of CPU for ``units`` chunks over all streams together."""
    each = min(max(MIN_CHUNKS, -(-units // STREAMS)), MAX_CHUNKS)
    seconds = trio.run(_read_all, f"http://127.0.0.1:{_server_port()}/{each}", read, ours)
    return seconds / (each * STREAMS) * units


async def _read_all(url: str, read: Read, ours: bool) -> float:
    network = SocketNetwork()
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=STREAMS)
    transport = HttpTransport(network, WorkerThreads()) if ours else httpx2.AsyncHTTPTransport(limits=limits)
    began: list[float] = []
    ended: list[float] = []
    all_ended = trio.Event()

    async def one(client: httpx2.AsyncClient) -> None:
        request = client.build_request("POST", url, content=b"", headers={"accept-encoding": "identity"})
        response = await client.send(request, stream=True)
        began.append(thread_time())  # bodies begin only after all heads have come
        await read(response, network.rounds)
        ended.append(thread_time())
        if len(ended) == STREAMS:
            all_ended.set()
        await all_ended.wait()  # closing is not what is measured
        await response.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.rounds.run)
        client = httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False)
        async with client, trio.open_nursery() as readers:
            for _ in range(STREAMS):
                readers.start_soon(one, client)
        nursery.cancel_scope.cancel()
    return ended[-1] - began[-1]


async def _iterate(response: httpx2.Response, _: Rounds) -> None:
    async for _chunk in response.aiter_raw():
        pass


async def _in_rounds(response: httpx2.Response, rounds: Rounds) -> None:
    body: ResponseBody = response.extensions[BODY_EXTENSION]
    ended = trio.Event()
    watch = body.deliver(lambda _: None, lambda _: ended.set(), rounds=rounds)
    await ended.wait()
    watch.close()
