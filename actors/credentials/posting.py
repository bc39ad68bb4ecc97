"""Requests to authorization servers, over the transport the models use. Nothing of a request or an answer is logged."""

from __future__ import annotations

import trio

from actors.credentials.oauth import Asked, OAuthError
from actors.ports import Ports
from messages.version import VERSION

ANSWER_SECONDS = 30.0

ANSWER_BYTES_MAX = 256 * 1024
"""Tokens are a few kilobytes; more is a web page."""


class Poster:
    """Made when first used: the HTTP client costs a tenth of a second to import."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def post(self, asked: Asked) -> tuple[int, bytes]:
        """Status and body. Raises OAuthError when the server cannot be reached or does not answer in time."""
        import httpx2

        from actors.model_stream.http import open_client

        headers = {"content-type": asked.content_type, "accept": "application/json", "user-agent": agent()}
        try:
            with trio.fail_after(ANSWER_SECONDS):
                async with (
                    open_client(self._ports) as client,
                    client.stream("POST", asked.url, content=asked.body, headers=headers) as response,
                ):
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > ANSWER_BYTES_MAX:
                            raise OAuthError(f"{_host(asked.url)} answered with more than {ANSWER_BYTES_MAX} bytes")
                    return response.status_code, bytes(body)
        except trio.TooSlowError:
            raise OAuthError(f"{_host(asked.url)} did not answer within {ANSWER_SECONDS:g} s") from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise OAuthError(f"{_host(asked.url)} cannot be reached ({type(error).__name__})") from None


def agent() -> str:
    """Who asks: ourselves."""
    return f"callboard/{VERSION}"


def _host(url: str) -> str:
    return url.split("?")[0]
