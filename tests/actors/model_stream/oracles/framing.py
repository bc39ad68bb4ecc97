"""How one and the same events may be framed (WHATWG HTML §9.2.6): none of it may change what is heard."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.actors.model_stream.hearing import cut

ENDS = (b"\n", b"\r\n", b"\r")


@st.composite
def framed(draw: st.DrawFn, events: list[dict[str, Any]], *, names: bool, done: bool) -> list[bytes]:
    """The events as a server might send them, cut as a network might cut them."""
    end = draw(st.sampled_from(ENDS))
    blank = draw(st.sampled_from((b"", b" ")))
    lines: list[bytes] = []
    for event in events:
        if draw(st.integers(0, 9)) == 0:
            lines.append(draw(st.sampled_from((b": keep-alive", b":", b"retry: 3000", b"id: 7"))))
            lines.append(b"")
        if names and isinstance(event.get("type"), str):
            lines.append(b"event:%b%b" % (blank, event["type"].encode()))
        lines.append(b"data:%b%b" % (blank, msgspec.json.encode(event)))
        lines.append(b"")
    if done:
        lines += [b"data:%b[DONE]" % blank, b""]
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return cut(mark + b"".join(line + end for line in lines), seed=draw(st.integers(0, 99)))
