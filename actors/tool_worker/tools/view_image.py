"""view_image: show the model an image file."""

from __future__ import annotations

import posixpath
from typing import Annotated

import msgspec

from actors.ports.files import Files
from actors.tool_worker.imaging import FILE_BYTES_MAX, ImagingError, Shown, fit_for_showing
from actors.tool_worker.os_errors import os_error_text
from actors.tool_worker.tool import Arguments, FunctionTool, Job, Prepared, Result, ToolError, generic_item
from messages.client.item import ImageView
from messages.items import InputImage


class ViewImageArguments(Arguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(description="The image file, relative to the working directory or absolute.")]


class ViewImage(FunctionTool[ViewImageArguments]):
    """Semantics: reference/core CORE §1.5. People see an `imageView` item, or a failed call if it was no image."""

    name = "view_image"
    description = "Look at an image file on this machine (PNG, JPEG, GIF, WebP, BMP, TIFF). Large ones are shrunk."
    needs = ("images",)

    def __init__(self) -> None:
        super().__init__(ViewImageArguments)

    async def prepare(self, job: Job) -> Prepared:
        arguments = self.parse(job.call)
        workshop = job.workshop
        path = workshop.resolve(arguments.path)
        ports = workshop.ports

        async def run() -> Result:
            began = ports.clock.monotonic()
            try:
                shown = await ports.threads.run(_read, ports.files, path)
            except (ImagingError, ToolError) as error:
                milliseconds = round((ports.clock.monotonic() - began) * 1000)
                item = msgspec.structs.replace(
                    generic_item(job.call), status="failed", success=False, duration_ms=milliseconds
                )
                return Result(output=str(error), outcome="failed", item=item)
            image = InputImage(image_url=shown.url, detail="original" if shown.original else "high")
            return Result(output=(image,), item=ImageView(id=job.call.item_id, path=path))

        # Nothing is shown before it is known to be an image: an imageView item has no way to say that it failed.
        return Prepared(item=None, run=run, parallel_safe=True, side_effects=False)


def _read(files: Files, path: str) -> Shown:
    """Blocking. Raises ToolError, ImagingError."""
    try:
        if "\0" in path:
            raise ToolError("unable to locate image: the path contains a NUL character")
        found = files.stat(path)
        if found is None:
            raise ToolError(f"unable to locate image at `{path}`: No such file or directory (os error 2)")
        if found.kind != "file":
            raise ToolError(f"image path `{path}` is not a file")
        data = files.read(path, limit=FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ToolError(f"unable to locate image at `{path}`: {os_error_text(error)}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ToolError(
            f"unable to process image: {posixpath.basename(path)} has more than {FILE_BYTES_MAX} bytes. "
            "Make a smaller copy and look at that"
        )
    return fit_for_showing(data)
