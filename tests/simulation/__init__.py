"""A simulated machine: the daemon's ports in virtual time, reproducible from a seed, with a plug to pull.

    world = World(seed=7)
    world.programs.add("make", my_program)                  # what processes do, over virtual time
    first = world.run(daemon_main, crash_at_step=314)       # daemon_main(ports): crashed as if by SIGKILL
    world.power_loss()                                      # optional: the page cache is gone too
    second = world.run(daemon_main)                         # a new life over the surviving files
    assert world.programs.executions(...)                   # nothing ran twice

`world.run` takes any ``async def main(ports)``, runs it in a `trio.run` of its own on an autojump clock with a seeded
scheduler, and returns a `Trace`: same seed, same main, same trace, down to the order of task steps. A trace knows how
many ``steps`` (of the daemon's tasks) and ``effects`` (changes to the world) there were, so every crash point can be
tried: ``for k in range(1, trace.steps + 1)``. A crash at an effect comes right *before* it takes place; of a write to a
file, some prefix may have.

**Pulling the plug.** A crash first unplugs the ports of the life: whatever they are asked after that never takes effect
(`Unplugged` is raised, a BaseException that no ordinary handler catches), sockets end, locks are let go, and the
containers of the processes die. Only then are the daemon's tasks cancelled, with every shield taken away, because
SIGKILL knows none; so ``finally`` blocks run, as they must in Python, but cannot change the world.

**Those who are not the daemon** (clients, a model server, the tester) use `world.outside`: ports on the same files and
the same network that are never unplugged. Inside one `trio.run` they can outlive the daemon with
``async with world.powered():`` and ``life = await world.live(daemon_main, crash_at_step=...)``. What was in flight to a
client when the daemon died can still be read from its stream with ``try_receive``, also after `world.run` returned.

What is simulated how:

    clock      trio's MockClock, jumping to the next deadline; Unix time goes on from one life to the next
    entropy    seeded; "secrets" too
    threads    run inline, after a checkpoint and a delay drawn from the seed; a crash can fall between two effects
    files      in memory: a page cache (survives SIGKILL) over durable storage (survives power loss, perhaps with a torn
               prefix of what was not synced); a full disk, unwritable directories, any error by a hook
    network    bounded pipes whose data is cut at random; resets; listeners; the same rounds as in production, stepped
    processes  scripted programs, every execution recorded
    scripts    the real engine and the worker's own code, without process and confinement (`world.engine()`)

Faults that occur by chance (cuts, delays) are drawn from the seed and can be turned off in `Chances`.

    world.py stepping.py life.py     the machine, the deterministic scheduler, one life and its crash
    disk.py files.py                 storage and its port
    pipes.py network.py              streams, the fabric that connects them, and its port
    programs.py scripts.py           scripted processes and their port; workers of scripts and theirs
    small.py                         clock, entropy, threads
"""

from __future__ import annotations

from tests.simulation.disk import Disk
from tests.simulation.life import Chances, Life, Trace, TraceEvent, Unplugged
from tests.simulation.network import Fabric
from tests.simulation.pipes import SimStream
from tests.simulation.programs import Execution, ProgramRun, Programs
from tests.simulation.scripts import ScriptProcess
from tests.simulation.world import World

__all__ = [
    "Chances",
    "Disk",
    "Execution",
    "Fabric",
    "Life",
    "ProgramRun",
    "Programs",
    "ScriptProcess",
    "SimStream",
    "Trace",
    "TraceEvent",
    "Unplugged",
    "World",
]
