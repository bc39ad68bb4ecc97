"""Requests to authorization servers, over the transport the models use. Nothing of a request or an answer is logged."""

from __future__ import annotations

from actors.credentials.oauth import Asked, OAuthError
from actors.model_stream.unsaid import bare_url
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
        from actors.model_stream.http import NoAnswerError, whole_answer

        headers = {"content-type": asked.content_type, "accept": "application/json", "user-agent": agent()}
        try:
            answer = await whole_answer(
                self._ports,
                "POST",
                asked.url,
                headers=headers,
                body=asked.body,
                seconds=ANSWER_SECONDS,
                max_bytes=ANSWER_BYTES_MAX,
            )
        except NoAnswerError as error:
            raise OAuthError(f"{bare_url(asked.url)} {error}") from None
        return answer.status, answer.body


def agent() -> str:
    """Who asks: ourselves."""
    return f"callboard/{VERSION}"
