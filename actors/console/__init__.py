"""The command line: a client like any other. It talks only the wire and never imports the daemon.

main.py      the parser
verbs.py     which verb runs what
client.py    JSON-RPC over a WebSocket
home.py      where the daemon's files are, and whether one is running
borrowed.py  a daemon of our own for the length of one command, when none runs
turn.py      run one turn and see it to its end
stage.py     what a turn looks like in a terminal
events.py    what a turn looks like as JSON lines
exec.py      run one prompt
demo.py      the two-minute tour: a failing test, a session, a passing test
repository.py the demo's repository
ps.py        the live tree
"""
