"""Images, which every wire wants in another place and form, and text without them."""

from __future__ import annotations

import msgspec

from messages.items import ContentPart, InputImage, InputText, OutputPart, OutputText, Refusal


class ImageData(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is carried along."""

    media_type: str
    base64: str


def image_data(image_url: str) -> ImageData | None:
    """What a ``data:`` URL of an image holds; None for any other URL, and for one that is not base64 (RFC 2397)."""
    head, comma, data = image_url.partition(",")
    if not comma or not head.lower().startswith("data:image/"):
        return None
    media_type, *parameters = head[len("data:") :].lower().split(";")
    if not data or not parameters or parameters[-1].strip() != "base64":
        return None
    return ImageData(media_type=media_type, base64=data)


def images_of(output: str | tuple[OutputPart | ContentPart, ...]) -> tuple[InputImage, ...]:
    """The images in an output or a message, in order."""
    return () if isinstance(output, str) else tuple(part for part in output if isinstance(part, InputImage))


def text_of(output: str | tuple[OutputPart | ContentPart, ...]) -> str:
    """The words in an output or a message; texts side by side are on lines of their own."""
    if isinstance(output, str):
        return output
    texts = []
    for part in output:
        match part:
            case InputText() | OutputText():
                texts.append(part.text)
            case Refusal():
                texts.append(part.refusal)
            case InputImage():
                pass
    return "\n".join(text for text in texts if text)
