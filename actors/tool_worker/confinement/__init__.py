"""What a command may change and reach: the sandbox modes, and how they are enforced. All of it pure.

policy.py      a thread's settings as a confinement; which mode holds when nobody has set one
ground.py      what may be changed, as paths that exist
bubblewrap.py  the command line, where bubblewrap works
landlock.py    the steps of an init, where only Landlock does
seccomp.py     the filter of both
limits.py      processes, files, memory, capabilities
mechanism.py   which of them holds here, and the gaps it leaves
denial.py      whether a command that failed was denied
table.py       what is allowed and denied, row by row, as docs/containment.md shows it

The daemon plans and the call's init does (`launcher/outside/confine.py`), between its birth and the program's: every
process of the call inherits it, and nothing takes it back.

Rejected: confining the launcher once (a thread's settings differ); a wrapper program of ours (an interpreter start per
call, 15 ms); mounting a whole view ourselves (bubblewrap is reviewed by more people); Landlock alone where mounts are
to be had (it cannot protect a folder inside a writable one); denying connect() and not socket() (a filter cannot read
an address, so a socket that may be opened may reach a container engine's).
"""
