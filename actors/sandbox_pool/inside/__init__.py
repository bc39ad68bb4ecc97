"""What runs outside the daemon: the zygote, and a worker for each script.

protocol.py      packets and frames (the daemon imports this too)
lexer.py         a tokenizer that can be fed piece by piece (the daemon's scanner imports this too)
checks.py        what can be said of a script before it runs
typescript.py    types erased in place
refusal.py       why a script is not run
prelude.js       the world a script finds
script.py        one script in one engine
confinement.py   what a worker can still do
wire.py          a worker's end of its socket
zygote.py        the process that forks workers

Started as ``python -I -S`` with nothing to import from but this package's folder, the standard library and the folder
of the engine and the parser. The model's text is parsed here and not in the daemon, because parsers are C: made for it,
20 KB of text keep tree-sitter busy for seconds, and crash it where memory ends (both measured).
"""
