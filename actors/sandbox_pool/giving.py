"""What a script that has ended gives: its value, or a handle of it, and the images that its calls have brought.

A value over the script's limit is told to nobody in full: it is kept, and its handle told. Images are put behind the
report, in the order of the calls, because a model that has a script look at pictures wants to see them and a value is
only text. They are bounded in number and in bytes; what is left out is said.

Both are the same after a replay: what the calls gave is in the log, and what is kept is named by its content.
"""

from __future__ import annotations

import msgspec

from actors.rollout_writer.handle_store import NOWHERE, VALUE_BYTES_MAX, HandleStore
from actors.rollout_writer.handles import HandleError
from actors.sandbox_pool.limits import SHOWN_IMAGE_CHARACTERS, SHOWN_IMAGES
from actors.sandbox_pool.values import image_url
from messages.handle import Handle, HandleType
from messages.items import InputImage
from messages.script import CallEnded, ScriptEvent, ScriptFailure, ScriptLimits, ScriptOutcome

_replace = msgspec.structs.replace


class _WithImages(msgspec.Struct, frozen=True, kw_only=True):
    images: tuple[str | Handle, ...] = ()


_with_images: msgspec.json.Decoder[_WithImages] = msgspec.json.Decoder(_WithImages)
_text: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


async def kept_value(outcome: ScriptOutcome, limits: ScriptLimits, store: HandleStore | None) -> ScriptOutcome:
    """The outcome, with a handle in place of a value that is too large to be told. One that cannot be kept is an error
    of the script's: nothing else tells its author why there is no value."""
    value = outcome.value
    type_: HandleType
    if value is None or len(value) <= limits.return_bytes // 3 or len(value.encode()) <= limits.return_bytes:
        return outcome
    try:
        text = _text_of(value)
        data, type_ = (value, "json") if text is None else (text, "text")
        handle = await _store(store).keep(data.encode("utf-8", "replace"), type_)
    except HandleError as error:
        message = f"the returned value is larger than {limits.return_bytes} bytes and cannot be kept: {error}"
        failure = ScriptFailure(kind="limit", code="return_value", message=message)
        return _replace(outcome, status="exceeded", value=None, failure=failure)
    note = f"The value is larger than {limits.return_bytes} bytes and is kept: read_handle reads parts of it."
    return _replace(outcome, value=msgspec.json.encode(handle).decode(), notes=(*outcome.notes, note))


def _text_of(value: str) -> str | None:
    """The text that the value is; None for any other value, and for what a worker that was taken over calls one."""
    try:
        return _text.decode(value)
    except msgspec.MsgspecError:
        return None


def _store(store: HandleStore | None) -> HandleStore:
    """Raises HandleError."""
    if store is None:
        raise HandleError(NOWHERE)
    return store


class Images:
    """Those of one script's calls, in the order of the calls."""

    def __init__(self, log: tuple[ScriptEvent, ...] = ()) -> None:
        """``log``: of an earlier run of the same script."""
        self._found: dict[int, tuple[str | Handle, ...]] = {}
        for event in log:
            self.take(event)

    def take(self, event: ScriptEvent) -> None:
        """What happened in the script."""
        if not isinstance(event, CallEnded) or event.result.error is not None:
            return
        if event.result.value.startswith('{"text":'):  # as `values.value` makes it
            self._found[event.number] = _with_images.decode(event.result.value).images

    async def shown(
        self, store: HandleStore | None, *, sees: bool = True
    ) -> tuple[tuple[InputImage, ...], tuple[str, ...]]:
        """Those that are put behind the report, and what is to be said of them there. ``sees``: the model does."""
        if not sees:
            count = sum(map(len, self._found.values()))
            note = f"Images that are not shown: {count}; this model is known not to see any."
            return (), (note,) if count else ()
        images: list[InputImage] = []
        calls: list[int] = []
        characters = left_out = 0
        for number, found in sorted(self._found.items()):
            for each in found:
                url = await _url(each, store) if len(images) < SHOWN_IMAGES else None
                if url is None or characters + len(url) > SHOWN_IMAGE_CHARACTERS:
                    left_out += 1
                    continue
                characters += len(url)
                images.append(InputImage(image_url=url))
                calls.append(number)
        notes: list[str] = []
        if images:
            of = ", ".join(f"#{number}" for number in calls)
            notes.append(f"Images behind this result, in the order of the calls: {len(images)} (call {of}).")
        if left_out:
            notes.append(
                f"Images left out: {left_out}; at most {SHOWN_IMAGES} of {SHOWN_IMAGE_CHARACTERS} characters in all "
                "are shown behind a script. Look at them one by one."
            )
        return tuple(images), tuple(notes)


async def _url(image: str | Handle, store: HandleStore | None) -> str | None:
    """The image in full; None if it cannot be read, or is no image."""
    if isinstance(image, str):
        return image
    if store is None or image.media_type is None:
        return None
    try:
        found = await store.read(image.handle, None, None, most=VALUE_BYTES_MAX, cut=False)
    except HandleError:
        return None
    return image_url(found.data, image.media_type)
