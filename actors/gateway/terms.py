"""On what terms clients come in: the settings of `[listen]` as they are now, as far as a bound listener can take them.

The lists and limits hold from the next connection on. Where we listen, whether a token is asked and the certificate are
decided when the daemon starts: a typing error there would lock out everybody who could mend it.
"""

from __future__ import annotations

import msgspec

from actors.gateway.address import ListenAddress
from actors.gateway.http_head import Door, door_hosts
from messages.settings import NEEDS_RESTART, ListenSettings

AT_START = tuple(sorted(key.removeprefix("listen.") for key in NEEDS_RESTART if key.startswith("listen.")))
"""What stays as it was; a change of it is told."""


class Terms:
    """One object for the gateway and its successors: what was taken out of a list does not come back with a crash."""

    def __init__(self, options: ListenSettings, door: Door, bound: ListenAddress | None) -> None:
        self.options = options
        self.door = door
        self._bound = bound
        """None: a Unix socket, for which no lists count."""

    def adopt(self, changed: ListenSettings) -> None:
        """The settings are like this now."""
        kept = {name: getattr(self.options, name) for name in AT_START}
        self.options = msgspec.structs.replace(changed, **kept)
        if self._bound is not None:
            self.door = with_lists(self.door, changed, self._bound)


def with_lists(door: Door, options: ListenSettings, bound: ListenAddress) -> Door:
    """The door with the lists of the settings."""
    hosts, addresses = door_hosts(bound.host, loopback=bound.loopback, more=options.allowed_hosts)
    return msgspec.structs.replace(door, allowed_origins=options.allowed_origins, hosts=hosts, addresses=addresses)
