"""HTTP/1.1 without a socket: where a response ends, what is refused, and that cutting changes nothing."""

from __future__ import annotations

import httpx2
import pytest

from actors.model_stream.http.wire import MAX_HEAD_BYTES, ResponseReader, encode_chunk, encode_request

Outcome = tuple[int, bytes, bool, bool]
"""Status, body, complete, reusable."""


def read(*pieces: bytes, ended: bool = False, to_head_request: bool = False) -> Outcome:
    reader = ResponseReader(to_head_request=to_head_request)
    body = b"".join(reader.feed(piece) for piece in pieces)
    if ended:
        reader.end()
    return reader.status, body, reader.complete, reader.reusable


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, b"hi", True, True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"", True, True)),
        (b"HTTP/1.1 200\r\ncontent-length: 2\r\nConnection: close\r\n\r\nhi", (200, b"hi", True, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, b"hi", True, False)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n",
            (200, b"hi!", True, True),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True, True)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, b"", True, True)),
        (
            b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hi\r\nLink: x\r\n\r\nHTTP/1.1 429 No\r\nContent-Length: 1\r\n\r\n!",
            (429, b"!", True, True),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", (200, b"hi", True, False)),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            (200, b"hi", True, False),
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx and more", (200, b"x", True, False)),
    ],
)
def test_a_response_ends_where_rfc_9112_says_however_it_is_cut(response: bytes, outcome: Outcome) -> None:
    assert read(response) == outcome
    assert read(*(response[i : i + 1] for i in range(len(response)))) == outcome
    for cut in range(1, len(response)):
        assert read(response[:cut], response[cut:]) == outcome


def test_a_body_without_a_length_lasts_until_the_connection_ends() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert read(head, b"until ", b"the end") == (200, b"until the end", False, False)
    assert read(head, b"until ", b"the end", ended=True) == (200, b"until the end", True, False)


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    assert read(head, to_head_request=True) == (200, b"", True, True)
    assert read(head + b"body", to_head_request=True) == (200, b"", True, False)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nConte", "middle of its headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "middle of its headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "before the end of the body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "before the end of the body"),
    ],
)
def test_a_connection_that_ends_early_is_an_error_that_says_where(response: bytes, words: str) -> None:
    with pytest.raises(httpx2.RemoteProtocolError, match=words):
        read(*([response] if response else []), ended=True)


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81",
    ],
)
def test_what_is_not_http_is_refused(response: bytes) -> None:
    with pytest.raises(httpx2.RemoteProtocolError, match=r"not HTTP/1\.1"):
        read(response)


@pytest.mark.parametrize(
    "endless",
    [
        [b"HTTP/1.1 200 OK\r\n", *[b"X-Header: " + b"x" * 1000 + b"\r\n"] * 100],
        [b"HTTP/1.1 200 OK\r\nX-Header: ", *[b"x" * 1000] * 100],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 10_000,
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", *[b"T: " + b"x" * 1000 + b"\r\n"] * 100],
    ],
)
def test_endless_headers_are_refused_at_the_limit(endless: list[bytes]) -> None:
    reader = ResponseReader()
    fed = 0
    with pytest.raises(httpx2.RemoteProtocolError, match="more than"):  # noqa: PT012  # how far it came is the point
        for piece in endless:
            fed += len(piece)
            reader.feed(piece)
    assert MAX_HEAD_BYTES < fed <= MAX_HEAD_BYTES + 2000


def test_a_request_is_written_as_it_was_given() -> None:
    assert encode_request(b"POST", b"/v1?a=b", [(b"Host", b"x"), (b"A", b"")]) == (
        b"POST /v1?a=b HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n"
    )
    assert encode_chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
    assert encode_chunk(b"") == b"0\r\n\r\n"


@pytest.mark.parametrize("evil", [b"a\r\nB: c", b"a\nb", b"a\rb", b"a\0b"])
def test_a_line_break_cannot_be_smuggled_into_a_request(evil: bytes) -> None:
    for request in (
        (evil, b"/", []),
        (b"GET", evil, []),
        (b"GET", b"/", [(b"A", evil)]),
        (b"GET", b"/", [(evil, b"")]),
    ):
        with pytest.raises(httpx2.LocalProtocolError):
            encode_request(*request)
