"""The capability token: whoever has it may do all that a client may. Made on first start, for the owner only."""

from __future__ import annotations

import base64
import posixpath

from actors.ports import Ports

TOKEN_FILE = "token"  # noqa: S105  # the name of a file, not a secret

TOKEN_BYTES = 32
"""256 bits: nobody guesses it however often they try."""


async def load_or_make_token(ports: Ports, home: str, file: str | None = None) -> str:
    """The token in ``file``, by default ``$CALLBOARD_HOME/token``; made if there is none. Raises OSError."""
    path = posixpath.join(home, TOKEN_FILE) if file is None else file

    def load() -> str:
        if ports.files.stat(path) is not None:
            found = ports.files.read(path).decode("ascii", "replace").strip()
            if found:
                return found
        made = base64.urlsafe_b64encode(ports.entropy.token(TOKEN_BYTES)).rstrip(b"=")
        ports.files.write_atomic(path, made + b"\n")
        return made.decode()

    return await ports.threads.run(load)
