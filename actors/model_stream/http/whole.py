"""One request and its whole answer, bounded in time and size: for what is no stream of a model (tokens, accounts).

Nothing of a request or an answer is in an error: either may hold a secret, and httpx2's own texts may quote the URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Literal

import httpx2
import msgspec
import trio

from actors.model_stream.http.transport import open_client
from actors.ports import Ports


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it came; ``headers`` with lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


class NoAnswerError(Exception):
    """There is none. The text goes on from the name of whoever was asked: ``cannot be reached (ConnectError)``."""

    def __init__(self, reason: Literal["unreachable", "silent", "too_long"], text: str) -> None:
        super().__init__(text)
        self.reason = reason


async def whole_answer(
    ports: Ports,
    method: Literal["GET", "POST"],
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    seconds: float,
    max_bytes: int,
) -> Answer:
    """Ask once, on a connection of its own, which is closed afterwards. ``seconds`` and ``max_bytes`` bound the answer,
    whose rest is not read. A redirect is an answer like any other. Raises NoAnswerError."""
    received = bytearray()
    try:
        with trio.fail_after(seconds):
            async with (
                open_client(ports) as client,
                client.stream(method, url, content=body, headers=dict(headers)) as response,
                # raw: nothing is compressed (`open_client`); closed here, and not whenever it is collected
                aclosing(response.aiter_raw()) as chunks,
            ):
                async for chunk in chunks:
                    received += chunk
                    if len(received) > max_bytes:
                        raise NoAnswerError("too_long", f"answered with more than {max_bytes // 1024} KiB")
                named = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status_code, headers=named, body=bytes(received))
    except trio.TooSlowError:
        raise NoAnswerError("silent", f"did not answer within {seconds:g} s") from None
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise NoAnswerError("unreachable", f"cannot be reached ({type(error).__name__})") from None
