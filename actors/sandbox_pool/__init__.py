"""Scripts: a model's `<tool-calls>` block, found in its text, checked, run confined, and never left behind.

scanner.py       finds the blocks while the text streams
declarations.py  what the model is told of `tools` and `context`
limits.py        every number
fairness.py      whose script is next
pool.py          `ScriptPool.run`: a worker for a script, warm if possible
running.py       one script being run: its worker, its calls, its timers, in one nursery
driver.py        what happens when: calls, pumps, clock, limits, end, replay (pure)
frames.py        what a worker says, trusted in nothing
actor.py         keeps the engine and the pool going
inside/          what runs in the zygote and its workers; pure parts are used here as well

    session ──ScriptRequest──▶ pool ──frames──▶ worker (a fork of the zygote, confined, for this script only)
       ▲                        │  ▲               │ tools.readFile({…})
       └──ScriptEvents──────────┤  └──pumps────────┘
                                └──StartCall──▶ the caller's `call`: a real call, with policy, approval and log

A script cannot do anything but ask for calls; whoever runs it makes them. docs/scripts.md has the threat model.
"""
