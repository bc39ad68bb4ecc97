"""The launcher: starts every tool in a container of its own, and leaves nothing behind.

wire.py       the small process, and the init of each container (runs outside the daemon; imports nothing of ours)
start.py        starts it, from the main thread; a handle to it
link.py         the daemon's end of the conversation: requests, answers, loss
wording.py      what a request looks like to the init, and what its refusals mean to a reader
containment.py  which mechanism holds here, and which gap it leaves

The port that the tools use is `actors/ports/production/processes.py`; docs/containment.md has the whole picture.
"""

from __future__ import annotations

from actors.tool_worker.launcher.containment import ContainmentReport, Mechanism
from actors.tool_worker.launcher.start import LauncherHandle, containment_report, start_launcher

__all__ = ["ContainmentReport", "LauncherHandle", "Mechanism", "containment_report", "start_launcher"]
