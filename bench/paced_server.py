"""An HTTP server that streams to many at once, one small chunk each at a time: the other end of `micro_http`.

Run as ``python -m bench.paced_server STREAMS``; prints its port; ends when its standard input does. It waits until so
many requests have come, answers all, and then sends each of them as many chunks as its path says, in step.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from bench import streams

GAP_SECONDS = 0.002
"""Between two chunks of one stream. Shorter than any model's, so that a sample is soon taken; long enough that one
chunk has been read before the next comes."""

SETTLE_SECONDS = 0.05
"""Between the heads and the first chunk: by then the reader has all heads and begins to measure."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def main() -> int:
    """Serve until standard input ends."""
    expected = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=expected)
    print(listener.getsockname()[1], flush=True)
    data = streams.deltas(1)[0]
    chunk = b"%x\r\n%b\r\n" % (len(data), data)
    while True:
        waiting: list[socket.socket] = []
        count = 0
        while len(waiting) < expected:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if listener not in ready:
                return 0
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            count = _chunks_wanted(connection)
            waiting.append(connection)
        _play(waiting, chunk, count)


def _chunks_wanted(connection: socket.socket) -> int:
    request = b""
    while b"\r\n\r\n" not in request:
        data = connection.recv(65536)
        if not data:
            return 0
        request += data
    return int(request.split(b" ", 2)[1].lstrip(b"/"))


def _play(waiting: list[socket.socket], chunk: bytes, count: int) -> None:
    try:
        for connection in waiting:
            connection.sendall(HEAD)
        time.sleep(SETTLE_SECONDS)
        for _ in range(count):
            for connection in waiting:
                connection.sendall(chunk)
            time.sleep(GAP_SECONDS)
        for connection in waiting:
            connection.sendall(b"0\r\n\r\n")
    except OSError:
        pass  # the reader has gone: its sample is void, the next one is not
    finally:
        for connection in waiting:
            connection.close()


if __name__ == "__main__":
    raise SystemExit(main())
