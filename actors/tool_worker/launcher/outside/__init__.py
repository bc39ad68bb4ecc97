"""What runs outside the daemon: the launcher process, and the init of every container.

wire.py    packets with descriptors, and the specification of a call (the daemon imports this too)
kernel.py  clone3, prctl, mount; children, reaping, sweeping
init.py    PID 1 of one call
main.py    the launcher's loop

Started as ``python -I -S`` with only this folder to import from; it imports next to nothing, so that it is up in a
few hundredths of a second and every init forked from it is small. Three processes take part in a call:

    daemon ──"spawn 7" + five descriptors──▶ launcher ──the same descriptors──▶ init (PID 1 of the call) ──▶ tool
       ▲◀───────"spawned 7 PID" + a pidfd────────┘                              │
       └──────────────── the call's own line: started / failed / exited ────────┘

The launcher only makes inits and reaps them; all that concerns one call is said on that call's *line*, a socket pair
between the daemon and the call's init, so no call waits for another. One spare init is kept ready, because half of a
start is the making of its container; and a container that its call has left empty and unchanged may be given another
call on the same line, which costs the launcher nothing.

Nothing outlives its owner, whoever is killed first:
* the daemon dies: the launcher's socket ends (and its parent-death signal fires), and each line ends;
* the launcher dies: each init gets a parent-death signal and sees the launcher's pidfd;
* the init dies: the kernel kills all that is in its PID namespace; without one, the launcher adopts and sweeps.

Rejected: forking the daemon itself (threads, 100 MB of page tables, and its descriptors in every child); a process
group per call (setsid leaves it); cgroups (need a delegated hierarchy, which containers rarely have); ``unshare`` in
the launcher (allowed once per process, or the init would be a grandchild, whose parent-death signal watches the wrong
process); writing it in C (a compiler at installation, for a gain of one millisecond per call).
"""
