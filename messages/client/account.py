"""Accounts: there are none. Keys belong to the daemon, and a client never has to log in."""

from __future__ import annotations

from messages.client.item import Wire


class AccountReadParams(Wire, frozen=True, kw_only=True):
    refresh_token: bool | None = None


class AccountReadResponse(Wire, frozen=True, kw_only=True):
    requires_openai_auth: bool
