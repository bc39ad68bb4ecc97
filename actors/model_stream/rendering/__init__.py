"""rendering: what every wire needs when it replays a history that other wires had a part in. Pure.

    replay.py       which items go back, read, in an order every provider accepts; `replay` is where a wire begins
    ids.py          call ids in a wire's own alphabet and length: `CallIds`
    freeform.py     freeform tools where a wire has none: one string, wrapped
    arguments.py    a call's arguments as the JSON object that strict servers insist on
    instructions.py what becomes of instructions that changed in mid-thread
    images.py       what is in an image's URL; text and images of an output apart

All of it is append-only: what an item becomes depends on the item, on those before it and on whether a model has
answered behind it, so a longer history never changes how its beginning was said.
"""

from __future__ import annotations

from actors.model_stream.rendering.arguments import arguments_object, valid_arguments
from actors.model_stream.rendering.freeform import (
    FREEFORM_FIELD,
    freeform_description,
    freeform_names,
    freeform_schema,
    unwrapped,
    wrapped,
)
from actors.model_stream.rendering.ids import CallIds, IdForm
from actors.model_stream.rendering.images import ImageData, image_data, images_of, text_of
from actors.model_stream.rendering.instructions import replaced, standing
from actors.model_stream.rendering.replay import Replay, Replayed, replay, without_note
from actors.model_stream.rendering.unsupported import UnsupportedError

__all__ = [
    "FREEFORM_FIELD",
    "CallIds",
    "IdForm",
    "ImageData",
    "Replay",
    "Replayed",
    "UnsupportedError",
    "arguments_object",
    "freeform_description",
    "freeform_names",
    "freeform_schema",
    "image_data",
    "images_of",
    "replaced",
    "replay",
    "standing",
    "text_of",
    "unwrapped",
    "valid_arguments",
    "without_note",
    "wrapped",
]
