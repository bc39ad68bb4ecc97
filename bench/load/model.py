"""The rehearsal server as a process: prints its base URL and plays until standard input ends."""

from __future__ import annotations

import gc
import sys
from typing import cast

import trio

from actors.ports import Processes
from actors.ports.production import production_ports
from actors.rehearsal.actor import Stage


async def _play() -> None:
    stage = Stage(production_ports(cast("Processes", None)))  # a model starts no processes
    async with trio.open_nursery() as nursery:
        print(await nursery.start(stage.serve), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 20)  # a pause in the model would look like a delay in the daemon
    trio.run(_play)
