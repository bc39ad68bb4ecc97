"""Requests and their answers: how a message is read, what each error says, what a method is. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from msgspec.json import Decoder

from actors.gateway.notifications import encode, encode_any
from actors.kernel import KernelError, MailboxFullError, OutcomeUnknownError
from actors.session.threads import UnknownThreadError, UnreadableThreadError
from messages.client.envelope import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    OVERLOADED,
    PARSE_ERROR,
    ErrorBody,
    Incoming,
    RequestId,
)
from messages.client.item import Wire
from messages.late import LateDecoder

if TYPE_CHECKING:
    from actors.gateway.caller import Caller

P = TypeVar("P", bound=Wire)

NO_PARAMS: Final = b"{}"

OVERLOAD_DATA: Final = {"codexErrorInfo": "server_overloaded"}
"""Clients that retry look for this very word in the error's data."""

_incoming: Decoder[Incoming] = Decoder(Incoming)


class RpcError(Exception):
    """A request is answered with this error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Answer:
    """A result with something to do right behind it: what a subscribing response is a barrier for."""

    __slots__ = ("result", "then")

    def __init__(self, result: Wire, then: Callable[[], None]) -> None:
        self.result = result
        self.then = then


class Method(msgspec.Struct, Generic[P], frozen=True):
    """One method: how its params are read and who answers it."""

    name: str
    params: LateDecoder[P]
    handle: Callable[[Caller, P], Awaitable[Wire | Answer]]

    def read(self, raw: msgspec.Raw) -> P:
        """The params. Raises RpcError naming the field that is wrong."""
        return read_params(self.name, self.params, raw)


def read_params(name: str, decoder: Decoder[P] | LateDecoder[P], raw: msgspec.Raw) -> P:
    """Params that are left out, or null, are an empty object. Raises RpcError naming the field that is wrong."""
    data = bytes(raw)
    try:
        return decoder.decode(NO_PARAMS if data in (b"", b"null") else data)
    except msgspec.MsgspecError as error:
        raise RpcError(INVALID_PARAMS, f"{name}: {error}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else "not UTF-8"
        raise RpcError(INVALID_PARAMS, f"{name}: the params are {why}") from error


def method(name: str, params: type[P], handle: Callable[[Caller, P], Awaitable[Wire | Answer]]) -> Method[P]:
    """A method with its own decoder."""
    return Method(name, LateDecoder(params), handle)


def read_message(data: str | bytes) -> Incoming:
    """Any message of a client. Raises RpcError for what is none; whose request it was is then not known."""
    try:
        return _incoming.decode(data)
    except msgspec.ValidationError as error:
        hint = "; send one message per frame, not a batch" if "got `array`" in str(error) else ""
        raise RpcError(INVALID_REQUEST, f"Invalid request: {error}{hint}") from error
    except msgspec.DecodeError as error:
        raise RpcError(PARSE_ERROR, f"Parse error: {error}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else "not UTF-8"
        raise RpcError(PARSE_ERROR, f"Parse error: {why}") from error


def unknown_method(name: str) -> RpcError:
    return RpcError(
        METHOD_NOT_FOUND, f"Method not found: {name[:200]}. This daemon does not offer it (yet); see docs/protocol.md"
    )


def overloaded(limit: int) -> RpcError:
    return RpcError(
        OVERLOADED,
        f"Server overloaded; retry later ({limit} requests of this connection are in hand).",
        OVERLOAD_DATA,
    )


def explain(name: str, error: Exception) -> RpcError | None:
    """What a client is told of an error in a method; None for a defect, which is logged."""
    match error:
        case RpcError():
            return error
        case UnknownThreadError():
            return RpcError(INVALID_REQUEST, str(error))
        case UnreadableThreadError():
            return RpcError(INTERNAL_ERROR, str(error))
        case MailboxFullError():
            return RpcError(OVERLOADED, "Server overloaded; retry later.", OVERLOAD_DATA)
        case OutcomeUnknownError():
            return RpcError(INTERNAL_ERROR, f"{name}: {error}")
        case KernelError():
            return RpcError(INTERNAL_ERROR, f"{name}: {error}; try again")
        case OSError():
            return RpcError(INTERNAL_ERROR, f"{name}: {error.strerror or error}")
        case _:
            return None


def internal_error(name: str) -> RpcError:
    """For a defect: the details are in the daemon's log, for they may quote what is nobody's business."""
    return RpcError(INTERNAL_ERROR, f"{name}: internal error; the daemon's log has the details")


def response(id_: RequestId, result: Wire) -> bytes:
    """The frame of an answer."""
    return b'{"id":%b,"result":%b}' % (encode(id_), encode_any(result))


def error_response(id_: RequestId | None, error: RpcError) -> bytes:
    """The frame of a refusal."""
    body = ErrorBody(code=error.code, message=error.message, data=error.data)
    return b'{"id":%b,"error":%b}' % (encode(id_), encode_any(body))
