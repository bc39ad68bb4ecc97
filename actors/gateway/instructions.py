"""The system prompt that a user's settings give to new threads."""

from __future__ import annotations

import posixpath

from actors.gateway.rpc import RpcError
from actors.ports import Ports
from messages.client.envelope import INVALID_REQUEST
from messages.settings import Settings

INSTRUCTIONS_BYTES_MAX = 1024 * 1024
"""Of `model_instructions_file`: a prompt, not a book; a mistaken path costs no memory."""


async def base_instructions(settings: Settings, ports: Ports, home: str) -> str | None:
    """What replaces our own prompt; None: nothing does. A relative path counts from ``home``.

    Raises RpcError when the file cannot be read: a thread without the rules its user gave it would be worse.
    """
    if settings.model_instructions_file is None:
        return settings.instructions
    path = posixpath.join(home, settings.model_instructions_file)
    try:
        data = await ports.threads.run(lambda: ports.files.read(path, limit=INSTRUCTIONS_BYTES_MAX + 1))
        if len(data) > INSTRUCTIONS_BYTES_MAX:
            raise _unusable(path, f"it is larger than {INSTRUCTIONS_BYTES_MAX} bytes")
        return data.decode()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _unusable(path, f"byte {error.start} is not UTF-8") from error


def _unusable(path: str, why: str) -> RpcError:
    return RpcError(INVALID_REQUEST, f"model_instructions_file {path} cannot be used: {why}; change the setting")
