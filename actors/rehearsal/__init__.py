"""rehearsal: a scripted model server on loopback, speaking the three model APIs over real HTTP.

It is what a daemon asks when nobody has configured a model, so that everything can be tried, shown, tested and measured
without a key: the sockets, the parsing and the pacing are those of a real provider, only the words are rehearsed.

    actor.py      listens, answers each connection; keeps a record of what it was asked
    server.py     HTTP/1.1 from the server's side (sans-IO reading on httptools, writing)
    line.py       the Responses wire over WebSocket; its connections remember
    prompt.py     pure: what a request asks, as far as scenes look at it
    script.py     pure: what a scene file may say, and reading one
    cast.py       pure: which scene and which step answers a prompt
    fill.py       pure: ``{{...}}`` in a scene's words
    play.py       pure: a step as a stream of server-sent events with pauses, on the Responses wire
    chat.py       pure: the same on the Chat Completions wire, and its requests
    messages.py   pure: the same on the Anthropic Messages wire, and its requests
    wires.py      which path speaks which wire
    load.py       pure: the ``load`` directive of benchmarks
    scenes/       the scenes: data, in TOML

A scene is played by a prompt that matches it, or by name with the model ``rehearsal:NAME``.
"""
