"""The load generator: a daemon in a process of its own, a rehearsed model in another, and this process as all clients.

    processes.py   starting and stopping the two; what a process tree uses (/proc)
    model.py       the rehearsed model as a process
    websocket.py   the client's side of a WebSocket, as little of it as a loopback needs
    client.py      many connections in one epoll; threads, turns, delays
    figures.py     percentiles
    scenarios.py   what is asked of the daemon
    targets.py     what DESIGN §9 promises, beside which results are printed

The model's process is not the daemon's, although the daemon has one inside: what it costs to play the model must not be
counted as what it costs to listen to it. Each delta's text carries the time at which it was made and its number
(`actors/rehearsal/load.py`), so delays and losses are seen however the daemon merges or cuts deltas. Delays are thus
from before the model's write to after the client's JSON decoder, on one clock.

The client must be cheap, or it measures itself: blocking sockets and one epoll, no task and no future per message.
"""
