"""Questions to the backend: one GET each, with headers of the credentials actor, over the transport the models use.

A 401 has the headers renewed once; what may pass by itself is asked again, as late as the server wants, within
`PATIENCE_SECONDS`. Nothing of a request or an answer is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import trio

from actors.backend import core
from actors.kernel import ServiceAddress
from actors.model_stream.retry import delay_before_retry
from actors.model_stream.unsaid import unsaid
from actors.ports import Ports
from messages.credentials import CredentialsRequest, GetHeaders, Headers
from messages.failure import Failure
from messages.version import VERSION

if TYPE_CHECKING:
    from actors.model_stream.http import Answer

PROVIDER = "chatgpt"
"""Whose login opens the backend."""

ATTEMPTS = 4
"""In all. Fewer than for a model: the answer is wanted on a screen, and can be asked for again."""

PATIENCE_SECONDS = 30.0
"""For one delay that the server asks for; beyond it the error, which says when to come back, is more useful."""

ANSWER_SECONDS = 30.0
"""For one answer, whole."""

BODY_BYTES_MAX = 8 * 1024 * 1024
"""Of an answer: a task with a diff of a hundred thousand lines. More is refused while it comes, not kept."""

_USAGE = msgspec.json.Decoder(core.Usage)
_TASK_PAGE = msgspec.json.Decoder(core.TaskPage)
_TASK = msgspec.json.Decoder(core.TaskDetails)

T = TypeVar("T")


class Backend:
    """The services of one base URL. Raises `core.BackendError` where the URL cannot be used."""

    def __init__(self, ports: Ports, credentials: ServiceAddress[CredentialsRequest], base_url: str) -> None:
        self._ports = ports
        self._credentials = credentials
        self._place = core.place(base_url)

    async def usage(self) -> core.Usage | Failure:
        """Limits and use, and the account they are of."""
        return await self._get(_USAGE, self._place.url("usage"))

    async def tasks(self, *, limit: int, cursor: str | None = None) -> core.TaskPage | Failure:
        """A page of the tasks that are not archived, newest first."""
        url = self._place.url("tasks", "list", limit=limit, task_filter="current", cursor=cursor)
        return await self._get(_TASK_PAGE, url)

    async def task(self, id_: str) -> core.TaskDetails | Failure:
        """One task. Raises `core.BackendError` if that is no id."""
        return await self._get(_TASK, self._place.url("tasks", core.task_id(id_)))

    async def _get(self, decoder: msgspec.json.Decoder[T], url: str) -> T | Failure:
        failed, rejected, renewed = 0, None, False
        while True:
            wanted = GetHeaders(provider=PROVIDER, rejected=rejected)
            headers = await self._credentials.ask(wanted, (Headers, Failure))
            if isinstance(headers, Failure):
                return headers
            rejected = None
            came = await self._ask_once(url, headers)
            if not isinstance(came, Failure) and 200 <= came.status < 300:
                return core.decoded(decoder, came.body)
            if not isinstance(came, Failure) and came.status == 401 and headers.generation is not None and not renewed:
                rejected, renewed = headers.generation, True
                continue
            failure = came if isinstance(came, Failure) else self._refused(came, headers)
            failed += 1
            random = self._ports.entropy.random.random()
            delay = delay_before_retry(failure, failed_attempts=failed, attempts=ATTEMPTS, random=random)
            if delay is None or delay > PATIENCE_SECONDS:
                return failure
            await trio.sleep(delay)

    def _refused(self, came: Answer, headers: Headers) -> Failure:
        secrets = unsaid(((name, value.reveal()) for name, value in headers.items), self._place.base)
        return core.refused(came.status, came.headers, came.body, now=self._ports.clock.now(), secrets=secrets)

    async def _ask_once(self, url: str, headers: Headers) -> Answer | Failure:
        # The HTTP client takes a tenth of a second, which a daemon that asks nothing should not spend.
        from actors.model_stream.http import NoAnswerError, whole_answer

        sent = {"accept": "application/json", "user-agent": f"callboard/{VERSION}"}
        sent |= {name: value.reveal() for name, value in headers.items}
        try:
            return await whole_answer(
                self._ports, "GET", url, headers=sent, seconds=ANSWER_SECONDS, max_bytes=BODY_BYTES_MAX
            )
        except NoAnswerError as error:
            match error.reason:
                case "too_long":
                    return Failure(kind="protocol", message=f"{core.WHERE} {error}.")
                case "silent":
                    return Failure(kind="timeout", message=f"{core.WHERE} {error}.", retryable=True)
                case "unreachable":
                    text = f"{core.WHERE} at {self._place.base} {error}."
                    return Failure(kind="connection", message=text, retryable=True)
