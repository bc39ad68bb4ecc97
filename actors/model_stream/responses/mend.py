"""Text that is nearly JSON in UTF-8, made so: the two faults that models' servers commit and standards let one repair.

* Bytes that are no UTF-8 (a character cut in two): WHATWG HTML §9.2.6 decodes an event stream with replacement.
* A lone surrogate escape (a server that cuts its strings by UTF-16 units): no Unicode character, and no encoder or
  database behind us would take it; U+FFFD stands for it.

An item with such a fault is worth more than none; it no longer is what the provider sent, so reasoning in it is not
touched (it is base64, hence never has either).
"""

from __future__ import annotations

import re

REPLACEMENT = b"\\ufffd"

_ESCAPE = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mended(data: bytes) -> bytes:
    """``data`` itself, the same object, when there is nothing to mend."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("utf-8", "replace").encode()
    if b"\\ud" in data or b"\\uD" in data:
        fixed = _ESCAPE.sub(lambda found: REPLACEMENT if found["lone"] else found[0], data)
        if fixed != data:
            return fixed
    return data
