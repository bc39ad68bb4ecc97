"""The whole daemon on simulated ports: people use it, it dies anywhere, it is started again, and laws are checked.

    python -m tests.system.simulation --seeds 500

A *trial* is a function of its plan: a seed, a scenario, and the points at which lives end. It runs the real daemon
(`supervisors.daemon.open_daemon`) on the ports of `tests.simulation`, with clients that speak the real wire, a model
server that plays rehearsed scenes over real HTTP, scripts on the real engine, and scripted commands that note under which idempotency key they ran.
Everything is in virtual time and drawn from the seed, so a broken law comes with the command line that breaks it again.

The laws, and where they are checked:

    on every frame (mirror.py)        positions, items and turns begin and end once, deltas fit, texts agree
    on every request (machine.py)     the history that the model is sent is valid
    on every command (machine.py)     it never ran before for its call; its start is on the disk for good
    at every barrier (person.py)      what was shown before it is on the disk for good
    after every death (laws.py)       no process left; each log loads and is valid, as it is and once recovered, and
                                      recovering twice adds nothing; what was shown completed is there; a call that
                                      began and did not end is *unknown*; submissions that were accepted are known
    of every script (script_laws.py)  each call of it is requested, started and ended at most once, in this order; what
                                      it is told of has ended in the log, and it is told once; a call that is done had
                                      its effect; its result names each call; no replay goes another way; what is
                                      spawned has one outcome, told once; at the end
                                      every script has come to one; with its turn's end its process is gone
    after every stop in order         nothing is left to recover, everybody heard how their turn ended
    at the end (laws.py)              the thread as read is the thread as told; what was shown started is completed;
                                      each submission entered once; a turn that only waited for people went on; no
                                      patch was applied twice; a new turn works; the list knows the thread; no actor
                                      crashed; nothing listens and nothing runs
    on all of it                      the same plan in another process gives the same digest of every effect, task
                                      step and frame

    scenarios.py  scenes/    what people want, what the model plays
    person.py websocket.py   a client that does not give up
    machine.py               disk, programs, model server, bad luck
    mirror.py laws.py script_laws.py    what must hold
    trial.py plans.py        one trial; which deaths a seed tries
    sites.py report.py __main__.py    coverage by await, many trials, the command line
"""
