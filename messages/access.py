"""Who a client is and what it may do: the door finds out, methods are checked against it."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Scope = Literal["observe", "drive", "approve", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One client, as far as the door could tell."""

    name: str
    """Whom the token was made for; `owner` for the capability token and wherever none is asked."""
    scopes: frozenset[Scope]
    token_id: str | None = None
    """Of a signed token; None for the capability token, and for none."""
    expires_at: float | None = None
    """Unix seconds; the connection ends then, too."""

    def may(self, scope: Scope) -> bool:
        """Whether this one may do what needs ``scope``. To see is part of everything, and `admin` is everything."""
        return scope in self.scopes or "admin" in self.scopes or (scope == "observe" and bool(self.scopes))


OWNER = Identity(name="owner", scopes=frozenset(SCOPES))
"""Whoever has the capability token, or the right to open the socket file, or comes where no token is asked."""
