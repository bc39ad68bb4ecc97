"""A call that a client runs: put to it as a request, answered by its response.

It waits for a client as a question to people does: it survives connections, and the first answer counts. It does not
survive the daemon, because the client may have carried it out meanwhile; after a crash its outcome is unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from messages.base import ItemId, TurnId
from messages.client.item import ImageContentItem, TextContentItem


class ClientCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is to do."""

    id: str
    """Of the request, the same to whoever is asked; also the call's idempotency key towards the client."""
    turn_id: TurnId
    item_id: ItemId
    tool: str
    namespace: str | None
    arguments: Any
    """As the model gave them: a JSON value."""


class ClientAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. ``problem``: no answer that could be used; why."""

    success: bool
    content: tuple[TextContentItem | ImageContentItem, ...] = ()
    problem: str | None = None
