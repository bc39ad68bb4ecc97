"""view_image: what a model is shown is an image, of a kind and a size that every provider takes."""

from __future__ import annotations

import base64
import contextlib
import io
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actors.tool_worker.imaging import (
    EDGE_MAX,
    FILE_BYTES_MAX,
    PASSED_ON,
    SHOWN_BYTES_MAX,
    UNREADABLE,
    ImagingError,
    fit_for_showing,
)
from messages.client.item import DynamicToolCall, ImageView
from messages.items import InputImage
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.simulation import World


def picture(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    written = io.BytesIO()
    Image.effect_noise((width, height), 90).convert(mode).save(written, kind, **options)
    return written.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def seen(url: str) -> Image.Image:
    return opened(base64.b64decode(url.partition(",")[2]))


@pytest.mark.parametrize("kind", sorted(PASSED_ON))
def test_what_fits_is_passed_on_byte_for_byte(kind: str) -> None:
    data = picture(30, 20, kind)
    shown = fit_for_showing(data)
    assert (shown.data, shown.media_type, shown.original) == (data, PASSED_ON[kind], True)


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (picture(20, 10, "BMP"), "PNG", (20, 10)),
        (picture(EDGE_MAX * 2, 100), "PNG", (EDGE_MAX, 50)),
        (picture(100, EDGE_MAX * 2, "JPEG"), "JPEG", (50, EDGE_MAX)),
        (picture(EDGE_MAX + 2, 10, "PNG", "RGBA"), "PNG", (EDGE_MAX, 10)),
    ],
)
def test_what_does_not_is_made_to_fit(data: bytes, kind: str, size: tuple[int, int]) -> None:
    shown = fit_for_showing(data)
    image = opened(shown.data)
    assert (image.format, image.size, shown.original) == (kind, size, False)


def test_it_is_turned_as_its_camera_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    shown = fit_for_showing(picture(EDGE_MAX * 2, 200, "JPEG", exif=exif))
    assert (shown.width, shown.height) == (100, EDGE_MAX)


def test_noise_that_no_format_makes_small_is_shrunk_until_it_is() -> None:
    noise = Image.frombytes("RGBA", (1200, 1200), random.Random(1).randbytes(1200 * 1200 * 4))
    written = io.BytesIO()
    noise.save(written, "PNG", compress_level=0)
    shown = fit_for_showing(written.getvalue())
    assert len(shown.data) <= SHOWN_BYTES_MAX
    assert shown.width < 1200


def bomb(edge: int) -> bytes:
    """A PNG of a few bytes that says it has ``edge`` squared pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)

    head = edge.to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00"
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", UNREADABLE),
        (b"no image", UNREADABLE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNREADABLE),
        (picture(64, 64)[:200], UNREADABLE),
        (bomb(12_000), "12000 x 12000 pixels"),
        (bomb(40_000), "too many pixels"),
    ],
)
def test_what_is_no_image_or_too_large_a_one_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ImagingError, match=words.replace("(", r"\(")):
        fit_for_showing(data)


_KINDS = [picture(12, 9, kind) for kind in ("PNG", "GIF", "WEBP", "JPEG", "TIFF")]


@given(st.sampled_from(_KINDS), st.data())
def test_a_damaged_file_is_shown_or_refused_and_nothing_else(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ImagingError):
        assert fit_for_showing(bytes(damaged)).data


def test_a_model_is_shown_the_file_and_people_see_its_path() -> None:
    world = World(1)
    data = picture(30, 20)
    world.outside.files.make_dirs("/repo/shots")
    world.outside.files.write("/repo/shots/a.png", data)

    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run("view_image", {"path": "shots/a.png"})
        assert (prepared.item, prepared.parallel_safe, prepared.side_effects) == (None, True, False)
        assert finished.item == ImageView(id="item_1", path="/repo/shots/a.png")
        assert isinstance(finished.output, tuple)
        [part] = finished.output
        assert isinstance(part, InputImage)
        assert (part.detail, seen(part.image_url).size) == ("original", (30, 20))

    on_bench(world, test, token_limit=10)  # an image is not priced as text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.png", "unable to locate image at `/repo/none.png`: No such file or directory (os error 2)"),
        ("/repo", "image path `/repo` is not a file"),
        ("text.png", UNREADABLE),
        ("a\0b", "unable to locate image: the path contains a NUL character"),
        ("huge", f"unable to process image: huge has more than {FILE_BYTES_MAX} bytes. "),
    ],
)
def test_what_cannot_be_shown_is_a_failed_call_with_the_reason(path: str, words: str) -> None:
    world = World(1)
    world.outside.files.make_dirs("/repo")
    world.outside.files.write("/repo/text.png", b"hello")
    if path == "huge":
        world.outside.files.write("/repo/huge", b"\0" * (FILE_BYTES_MAX + 1))

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("view_image", {"path": path})
        assert str(finished.output).startswith(words)
        assert finished.outcome == "failed"
        assert isinstance(finished.item, DynamicToolCall)
        assert (finished.item.tool, finished.item.status, finished.item.success) == ("view_image", "failed", False)

    on_bench(world, test)
