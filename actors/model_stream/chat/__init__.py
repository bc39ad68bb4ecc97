"""The Chat Completions wire, as OpenAI speaks it and as everybody else does. Pure.

request.py     a `SampleRequest` as a body
messages.py    a history as its messages
dialect.py     where servers and models differ in what they take
decode.py      a stream, heard
chunks.py      a chunk, as far as we look into it
calls.py       tool calls, put together from deltas
ending.py      why it stopped, what it used
items.py       the finished parts as history items
"""
