"""What is printed for people: a rich console on which nobody else's text can move the cursor.

A model writes the commands that people are asked to approve, and programs write what is shown of their output. With
escape sequences in it such a text could erase what stands above it, or show another command than the one that runs:
here every control character is printed as the sign that stands for it (``␛``), and so are the marks that turn the
direction of writing around (CVE-2021-42574). Only the layout's own line ends, and its own colours, are left.

Rejected: cleaning each text where it is drawn (one place is always forgotten), and cleaning what arrives on the wire
(`exec --json` and files are for programs, which want it as it is).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_C0, _DELETE, _SYMBOLS = 0x20, 0x7F, 0x2400
"""The signs for the C0 characters begin at U+2400."""

_BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))

VISIBLE: Final = {
    **{code: chr(_SYMBOLS + code) for code in range(_C0) if code != ord("\n")},
    _DELETE: "␡",
    **{code: f"<{code:02X}>" for code in range(0x80, 0xA0)},
    **{code: f"<{code:04X}>" for code in _BIDI},
}
"""For `str.translate`: what is printed instead of characters that move, erase or turn around."""

_SEQUENCES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""CSI, OSC and the two-character ones (ECMA-48 §5.3, §5.4)."""


def plain(output: str) -> str:
    """What a program printed, without its colours and its redrawn lines; for showing, not for judging."""
    lines = _SEQUENCES.sub("", output).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


class Screen(Console):
    """Standard output, or with ``stderr`` the other one."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As its base does, with the text of each segment made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control is not None else _visible(segment)


def _visible(segment: Segment) -> Segment:
    shown = segment.text.translate(VISIBLE)
    return segment if shown == segment.text else Segment(shown, segment.style)
