"""The Chat Completions wire, as OpenAI speaks it and as everybody else does. Pure.

    decode.py      a stream, heard
    chunks.py      a chunk, as far as we look into it
    calls.py       tool calls, put together from deltas
    ending.py      why it stopped, what it used
    items.py       the finished parts as history items
"""
