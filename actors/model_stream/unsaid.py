"""What a provider may quote back and nobody else may read: values of headers, and what its URL carries. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

SHORTEST_SECRET = 8
"""Values from this length on are taken out of what a provider quotes back; shorter ones are no secrets."""


def unsaid(headers: Iterable[tuple[str, str]], url: str, query: Iterable[str] = ()) -> tuple[str, ...]:
    """The values of ``headers`` and what of them follows a scheme (``Bearer``), user and password of ``url`` also as
    the ``Basic`` header that is made of them, and what stands in its query and in ``query``; longest first."""
    values = {part for _, value in headers for part in (value, value.rpartition(" ")[2])} | set(query)
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    for text in (userinfo, unquote(userinfo)):
        values |= {text, text.partition(":")[2], b64encode(text.encode()).decode()}
    values |= {part.partition("=")[2] for part in parts.query.split("&")}
    values |= {value for _, value in parse_qsl(parts.query)}
    return tuple(sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=lambda it: (-len(it), it)))


def bare_url(url: str) -> str:
    """A provider's URL for people: without a user, a password or a query, which may all be secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
