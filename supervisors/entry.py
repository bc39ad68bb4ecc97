"""Where the process begins: the command line, with the daemon handed to it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from actors.console.main import main as console

if TYPE_CHECKING:
    from actors.console.main import ServeOptions


def main() -> None:
    """The ``callboard`` command."""
    sys.exit(console(sys.argv[1:], serve))


def serve(options: ServeOptions) -> int:
    """Run the daemon in this process; the exit code."""
    from supervisors.serving import run

    return run(options)
