"""The command line: a client like any other. It talks only the wire and never imports the daemon.

main.py      the parser
parsing.py   the command line of the verbs that watch, answer and look
verbs.py     which verb runs what
client.py    JSON-RPC over a WebSocket
home.py      where the daemon's files are, and whether one is running
borrowed.py  a daemon of our own when none runs: for one command, or for as long as anybody is attached
app_server.py  stand in for another app-server: lines on stdio, bridged to the daemon
turn.py      run one turn and see it to its end
stage.py     what a turn looks like in a terminal
events.py    what a turn looks like as JSON lines
exec.py      run one prompt
demo.py      the two-minute tour: a failing test, a session, a passing test
repository.py the demo's repository
ps.py        the live tree
attach.py    watch a thread and talk to it
keys.py      a line that is typed while other things are printed
questions.py what waits for a person's yes, and which key answers what
approve.py   the open questions of all threads
threads.py   what there is to attach to
doctor.py    what works on this machine
completions.py what a shell may offer
wire.py      recorded model answers decoded, requests rendered
models.py    which models there are; fetching one
"""
