"""An image file as a model can be shown it: of a kind and a size that every provider takes. Blocking: run in a thread.

What fits is passed on byte for byte. What does not is decoded, turned the way its EXIF says, shrunk and written as PNG,
or as JPEG where it came as one or the PNG would be too large. Of a moving image that has to be shrunk, the first frame.

The file is not trusted: the number of pixels is read from its head before anything is decoded (a bomb of a few
kilobytes unpacks to gigabytes), only formats that pictures come in are tried, and whatever the decoder raises means
that it is no image. Source: CORE §1.5; limits of the providers as their documents give them, November 2026.
"""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from PIL.Image import Image

FILE_BYTES_MAX = 50 * 1024 * 1024
"""Of a file that is looked into: a photograph from the best camera, with room."""

PIXELS_MAX = 100_000_000
"""Decoded at four bytes each: 400 MB for a moment. The largest cameras have less."""

EDGE_MAX = 2048
"""Pixels of the longer side. Providers shrink what is larger, and one of them refuses it above 2000 among many."""

SHOWN_BYTES_MAX = 3_500_000
"""Of the image as it is sent: with base64 it stays below the strictest provider's 5 MB."""

JPEG_QUALITY = 85
"""Text on a screenshot stays sharp, at a tenth of a PNG's size."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM")
"""What is tried. Others that Pillow knows call programs (EPS) or are nobody's picture."""

PASSED_ON = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""What every provider takes as it is."""

UNREADABLE = "unable to process image: invalid or unsupported image data"


class ImagingError(Exception):
    """The text is for the model: why the image cannot be shown."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The image to be sent."""

    media_type: str
    data: bytes
    width: int
    height: int
    original: bool
    """The file's own bytes."""

    @property
    def url(self) -> str:
        """RFC 2397."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def media_type_of(data: bytes) -> str | None:
    """Of an image that every provider takes, told by its first bytes; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for head, media_type in _SIGNATURES if data.startswith(head)), None)


def fit_for_showing(data: bytes) -> Shown:
    """The image in ``data``, shrunk if need be. Raises ImagingError."""
    from PIL import Image, UnidentifiedImageError  # up to 0.2 s of import, for those who look at pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that is not quite right, and sizes we judge ourselves
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _shown(image, data)
    except ImagingError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit is above ours: it is far too large
        raise ImagingError(_too_large("too many pixels")) from error
    except UnidentifiedImageError as error:
        raise ImagingError(UNREADABLE) from error
    except Exception as error:  # decoders raise nearly anything over a damaged file: it is the file's fault
        raise ImagingError(f"{UNREADABLE} ({type(error).__name__})") from error


def _shown(image: Image, data: bytes) -> Shown:
    width, height = image.size
    if width * height > PIXELS_MAX:
        raise ImagingError(_too_large(f"{width} x {height} pixels"))
    media_type = PASSED_ON.get(image.format or "")
    if media_type is not None and max(width, height) <= EDGE_MAX and len(data) <= SHOWN_BYTES_MAX:
        image.load()  # a file that is cut short is found out here, and not by the provider
        return Shown(media_type=media_type, data=data, width=width, height=height, original=True)
    return _shrunk(image)


def _too_large(what: str) -> str:
    return (
        f"unable to process image: it has {what}; at most {PIXELS_MAX} in all are decoded. "
        "Make a smaller copy and look at that"
    )


def _shrunk(image: Image) -> Shown:
    from PIL import ImageOps
    from PIL.Image import Resampling

    was_jpeg = image.format == "JPEG"
    if was_jpeg:
        image.draft("RGB", (EDGE_MAX, EDGE_MAX))  # decodes at an eighth of the work where much is thrown away anyway
    turned = ImageOps.exif_transpose(image)
    opaque = was_jpeg or ("A" not in turned.getbands() and "transparency" not in turned.info)
    plain = turned.convert("RGB" if opaque else "RGBA")
    plain.thumbnail((EDGE_MAX, EDGE_MAX), Resampling.LANCZOS)
    while True:
        media_type, data = _written(plain, jpeg=was_jpeg)
        if len(data) <= SHOWN_BYTES_MAX:
            return Shown(media_type=media_type, data=data, width=plain.width, height=plain.height, original=False)
        scale = 0.9 * (SHOWN_BYTES_MAX / len(data)) ** 0.5  # bytes go with the area; a little less, to be done at once
        plain.thumbnail((int(plain.width * scale) or 1, int(plain.height * scale) or 1), Resampling.LANCZOS)


def _written(image: Image, *, jpeg: bool) -> tuple[str, bytes]:
    if not jpeg:
        png = io.BytesIO()
        image.save(png, "PNG")
        if png.tell() <= SHOWN_BYTES_MAX or image.mode == "RGBA":
            return "image/png", png.getvalue()
    written = io.BytesIO()
    image.save(written, "JPEG", quality=JPEG_QUALITY)
    return "image/jpeg", written.getvalue()
