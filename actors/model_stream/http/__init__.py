"""HTTP/1.1 for the model: an httpx2 transport of ours whose responses can be read in the rounds.

    wire.py        bytes ⇄ one request and its response (sans-IO, on httptools' llhttp)
    pool.py        connections kept alive between requests
    body.py        a response's body: iterated as any of httpx2's, or handed to the rounds
    transport.py   httpx2's transport over the three, and `open_client`
    whole.py       one request and its whole answer, bounded

    async with open_client(ports) as client, client.stream("POST", url, content=...) as response:
        body: ResponseBody = response.extensions[BODY_EXTENSION]
        watch = body.deliver(on_data, on_end)      # from now on the rounds read it: no task wakes for a chunk

Why not httpcore2, which httpx2 brings: iterating costs a task switch and 36 µs a chunk, and its pool looks at every
connection for every request. Why not HTTP/2: one connection would be one socket for many streams, and so one point
where a slow consumer holds up the others; no model server requires it.
"""

from __future__ import annotations

from actors.model_stream.http.body import BodyWatch, ResponseBody
from actors.model_stream.http.transport import BODY_EXTENSION, TIMEOUTS, HttpTransport, open_client
from actors.model_stream.http.whole import Answer, NoAnswerError, whole_answer

__all__ = [
    "BODY_EXTENSION",
    "TIMEOUTS",
    "Answer",
    "BodyWatch",
    "HttpTransport",
    "NoAnswerError",
    "ResponseBody",
    "open_client",
    "whole_answer",
]
