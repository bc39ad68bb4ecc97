"""initialize: who is there, and who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.json import Decoder

from actors.gateway.rpc import read_params
from messages.client.initialize import InitializeParams, InitializeResponse

if TYPE_CHECKING:
    from actors.gateway.caller import Caller

PROTOCOL_VERSION = "0.169.0"
"""Of the app-server whose vocabulary this is. Clients read it out of ``userAgent`` and switch features on by it (the
Python SDK asks for 0.151 and refuses to start without a version)."""

NAME_CHARS = 100
"""Of a client's name and version: it goes into logs."""


_params: Decoder[InitializeParams] = Decoder(InitializeParams)


def initialize(caller: Caller, raw: msgspec.Raw) -> InitializeResponse:
    """Take note of who it is, before the next message is read. Raises RpcError."""
    params = read_params("initialize", _params, raw)
    house = caller.house
    name = _plain(params.client_info.name) or "unknown"
    version = _plain(params.client_info.version) or "0"
    caller.client_name = name
    if params.capabilities is not None and params.capabilities.opt_out_notification_methods:
        caller.watched.opt_out(params.capabilities.opt_out_notification_methods)
    return InitializeResponse(
        user_agent=f"{name}/{PROTOCOL_VERSION} ({house.system}) callboard/{house.version} ({name}; {version})",
        codex_home=house.home,
        platform_family="windows" if house.system == "windows" else "unix",
        platform_os=house.system,
        callboard={"version": house.version},
    )


def _plain(text: str) -> str:
    """Printable, without spaces and short: a product name in the sense of RFC 9110 §10.1.5."""
    return "".join(character for character in text if character.isprintable() and not character.isspace())[:NAME_CHARS]
