"""A local image becomes data at the door, or the client is told why not."""

from __future__ import annotations

import base64

import pytest

from actors.gateway.images import IMAGE_BYTES_MAX, embedded
from actors.gateway.rpc import RpcError
from actors.ports import Ports
from messages.client.item import ImageInput, LocalImageInput, TextInput, UserInput
from tests.simulation import World

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
FILES = {
    "/a.png": PNG,
    "/b": b"\xff\xd8\xff\xe0",
    "/c.txt": b"GIF89a",
    "/d": b"RIFF\x00\x00\x00\x00WEBP",
    "/e.png": b"no image",
    "/big.png": PNG + bytes(IMAGE_BYTES_MAX),
}


def take(*given: UserInput) -> tuple[UserInput, ...]:
    world = World(1)
    for path, data in FILES.items():
        world.outside.files.write(path, data)

    async def main(ports: Ports) -> object:
        try:
            return await embedded(ports, "turn/start", given)
        except RpcError as error:
            return error

    result = world.run(main).result
    if isinstance(result, RpcError):
        raise result
    assert isinstance(result, tuple)
    return result


def url(kind: str, path: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(FILES[path]).decode()}"


def test_images_are_told_by_their_first_bytes_and_everything_else_stays_in_its_place() -> None:
    text = TextInput(text="look")
    remote = ImageInput(url="https://x/y.png")
    given = [LocalImageInput(path=path) for path in ("/a.png", "/b", "/c.txt", "/d")]
    assert take(text, *given[:2], remote, *given[2:]) == (
        text,
        ImageInput(url=url("png", "/a.png")),
        ImageInput(url=url("jpeg", "/b")),
        remote,
        ImageInput(url=url("gif", "/c.txt")),
        ImageInput(url=url("webp", "/d")),
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a.png", "must be absolute"),
        ("/none.png", "no such file"),
        ("/e.png", "no PNG, JPEG, GIF or WebP"),
        ("/big.png", f"at most {IMAGE_BYTES_MAX}"),
    ],
)
def test_a_file_that_cannot_be_an_image_is_refused_by_name_and_reason(path: str, words: str) -> None:
    with pytest.raises(RpcError) as caught:
        take(LocalImageInput(path=path))
    assert f"turn/start: the image {path} cannot be used" in caught.value.message
    assert words in caught.value.message
