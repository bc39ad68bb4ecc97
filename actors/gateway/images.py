"""Images that a client names by path are read at the door and travel as data from there.

So the log holds what the model was shown, whatever becomes of the file, and replay needs no file. Only what the model
APIs take is let in, told by its first bytes and not by its name.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Sequence

from actors.gateway.rpc import RpcError
from actors.ports import Ports
from messages.client.envelope import INVALID_PARAMS
from messages.client.item import ImageInput, LocalImageInput, UserInput

IMAGE_BYTES_MAX = 20 * 1024 * 1024
"""What the strictest of the model APIs takes in one image."""


async def embedded(ports: Ports, method: str, given: Sequence[UserInput]) -> tuple[UserInput, ...]:
    """The input with local images as data URLs. Raises RpcError for a file that is missing, too large, or no image."""
    if not any(isinstance(part, LocalImageInput) for part in given):
        return tuple(given)

    def read() -> tuple[UserInput, ...]:
        return tuple(_embed(ports, method, part) if isinstance(part, LocalImageInput) else part for part in given)

    return await ports.threads.run(read)


def _embed(ports: Ports, method: str, image: LocalImageInput) -> ImageInput:
    if not posixpath.isabs(image.path):
        raise _bad(method, image.path, "the path must be absolute")
    try:
        found = ports.files.stat(image.path)
        if found is None or found.kind != "file":
            raise _bad(method, image.path, "there is no such file")
        if found.size > IMAGE_BYTES_MAX:
            raise _bad(method, image.path, f"it has {found.size} bytes; at most {IMAGE_BYTES_MAX} are taken")
        data = ports.files.read(image.path)
    except OSError as error:
        raise _bad(method, image.path, error.strerror or str(error)) from error
    kind = _media_type(data)
    if kind is None:
        raise _bad(method, image.path, "it is no PNG, JPEG, GIF or WebP image")
    return ImageInput(url=f"data:{kind};base64,{base64.b64encode(data).decode()}", detail=image.detail)


def _media_type(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _bad(method: str, path: str, reason: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"{method}: the image {path} cannot be used: {reason}")
