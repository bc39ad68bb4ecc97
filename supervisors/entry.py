"""Where the process begins: the command line, with the daemon handed to it.

The garbage collector rests while modules are imported: what they make stays, and walking it again and again takes a
twentieth of a start.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.console.serve_options import ServeOptions


def main() -> None:
    """The ``callboard`` command."""
    gc.disable()
    from actors.console.main import main as console

    gc.enable()
    sys.exit(console(sys.argv[1:], serve))


def serve(options: ServeOptions) -> int:
    """Run the daemon in this process; the exit code."""
    gc.disable()  # until the daemon listens
    from supervisors.serving import run

    return run(options)
