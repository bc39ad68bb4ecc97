"""The envelope of every message, and the error codes.

A request has an id and a method, a notification a method only, a response an id with a result or an error. The member
``jsonrpc`` is not sent and ignored when it comes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from messages.client.item import Wire

RequestId = int | str

PARSE_ERROR = -32700
"""It is not JSON, or nested deeper than we read."""

INVALID_REQUEST = -32600
"""It is JSON but no request; or the request makes no sense as things stand: not initialized, no such thread."""

METHOD_NOT_FOUND = -32601

INVALID_PARAMS = -32602
"""The text names the field."""

INTERNAL_ERROR = -32603
"""A defect of ours, or a disk that is full."""

OVERLOADED = -32001
"""Too many requests in flight on this connection: nothing was done, try again later."""

FORBIDDEN = -32003
"""The client's token does not reach so far; the data names the scope that is missing."""

ABSENT = msgspec.Raw(b"")
"""A member that did not come. (A null that came is ``null``.)"""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """Any message from a client; which kind it is follows from the members that are there."""

    id: RequestId | msgspec.UnsetType | None = msgspec.UNSET
    """A null is no id."""
    method: str | None = None
    params: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class ErrorBody(Wire, frozen=True, kw_only=True):
    """What went wrong, for a program (``code``, ``data``) and for a person (``message``)."""

    code: int
    message: str
    data: Any = None


class ErrorResponse(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is null when the request's own id could not be read."""

    id: RequestId | None
    error: ErrorBody


class Position(Wire, frozen=True, kw_only=True):
    """Our extra member ``callboard`` of a thread's notifications: which event of which epoch this is."""

    epoch: str
    seq: int
