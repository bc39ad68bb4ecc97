"""The capability token: whoever has it may do all that a client may. Made on first start, for the owner only."""

from __future__ import annotations

import base64
import posixpath

from actors.gateway.address import ListenRefusedError
from actors.ports import Ports

TOKEN_FILE = "token"  # noqa: S105  # the name of a file, not a secret

TOKEN_BYTES = 32
"""256 bits: nobody guesses it however often they try."""


OTHERS = 0o077


async def load_or_make_token(ports: Ports, home: str, file: str | None = None) -> str:
    """The token in ``file``, by default ``$CALLBOARD_HOME/token``; made if there is none.

    Raises ListenRefusedError for a file that others can read or write: whoever has the token can run commands here, and
    taking the rights away now would not take the token from those who have read it. OSError.
    """
    path = posixpath.join(home, TOKEN_FILE) if file is None else file

    def load() -> str:
        stat = ports.files.stat(path)
        if stat is not None:
            if stat.mode & OTHERS:
                raise ListenRefusedError(
                    f"others can read {path} (mode {stat.mode:04o}), and whoever has that token can run commands here. "
                    "Remove it, and another is made at the next start; or, if nobody can have read it, "
                    f"chmod 600 {path}"
                )
            found = ports.files.read(path).decode("ascii", "replace").strip()
            if found:
                return found
        made = base64.urlsafe_b64encode(ports.entropy.token(TOKEN_BYTES)).rstrip(b"=")
        ports.files.write_atomic(path, made + b"\n")
        return made.decode()

    return await ports.threads.run(load)
