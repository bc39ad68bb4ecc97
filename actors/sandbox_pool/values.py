"""What a call gives its script: one JSON value made of its text and its images, each inline or by handle. Pure.

    text                                     "…" or a Handle
    a command                                {output: "…" or a Handle, exitCode, sessionId?}
    with images                              {text: "…" or a Handle, images: ["data:…" or a Handle]}

Over `RESULT_BYTES` in all, what is large of it is kept on disk and a handle stands in its place, so that what else the
result says (an exit code, a small text beside an image) is at hand all the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import zip_longest
from typing import Any

import msgspec

from actors.sandbox_pool.limits import PART_BYTES, RESULT_BYTES
from messages.client.item import CommandExecution, ThreadItem
from messages.handle import Handle, Kept
from messages.items import InputImage, InputText, OutputPart

_HEADS = ("Chunk ID:", "Wall time:", "Exit code:")
"""How the lines begin that models are told above a command's output."""

_TOLD = re.compile(
    r"Chunk ID: [0-9a-f]{6}\nWall time: .*\nProcess (?:exited with code (-?\d+)|running with session ID (\d+))\n"
)
"""Of a command that another call has started (`write_stdin`): it has no item of its own that would say so."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """An output, taken apart."""

    text: str
    images: tuple[str, ...] = ()
    """URLs."""
    command: bool = False
    exit_code: int | None = None
    session: int | None = None
    """Of a command that goes on."""


def parts_of(output: str | tuple[OutputPart, ...], item: ThreadItem | None, terminal: int | None) -> Parts:
    """Of a call that is done. A command's text is what it printed, without the lines that models are told of it."""
    if isinstance(output, str):
        told = _TOLD.match(output)
        if isinstance(item, CommandExecution) or terminal is not None:
            code = item.exit_code if isinstance(item, CommandExecution) else None
            return Parts(text=_printed(output), command=True, exit_code=code, session=terminal)
        if told is not None:
            code, session = (None if each is None else int(each) for each in told.groups())
            return Parts(text=_printed(output), command=True, exit_code=code, session=session)
        return Parts(text=output)
    return Parts(
        text="\n".join(part.text for part in output if isinstance(part, InputText)),
        images=tuple(part.image_url for part in output if isinstance(part, InputImage)),
    )


def value(parts: Parts, kept: Kept) -> str:
    """As JSON text."""
    text: str | Handle = parts.text if kept.text is None else kept.text
    made: Any = text
    if parts.command:
        made = {"output": text, "exitCode": parts.exit_code}
        if parts.session is not None:
            made["sessionId"] = parts.session
    elif parts.images:
        images = zip_longest(kept.images, parts.images)
        made = {"text": text, "images": [url if handle is None else handle for handle, url in images]}
    return msgspec.json.encode(made).decode()


def too_large(parts: Parts) -> bool:
    """Whether some of it has to be kept elsewhere."""
    size = len(parts.text.encode("utf-8", "replace")) + sum(map(len, parts.images))
    return size > RESULT_BYTES // 6 and len(msgspec.json.encode((parts.text, parts.images))) > RESULT_BYTES


def large(text: str) -> bool:
    """Whether this part is worth a handle, in a result that is too large."""
    return len(text) > PART_BYTES


def image_bytes(url: str) -> tuple[bytes, str] | None:
    """The content of a ``data:`` URL in base64, with its media type; None for any other (RFC 2397)."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        return base64.b64decode(data, validate=True), head.removeprefix("data:").removesuffix(";base64")
    except (binascii.Error, ValueError):
        return None


def image_url(data: bytes, media_type: str) -> str:
    """The other way round."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _printed(text: str) -> str:
    head, mark, output = text.partition("\nOutput:\n")
    return output if mark and head.startswith(_HEADS) else text
