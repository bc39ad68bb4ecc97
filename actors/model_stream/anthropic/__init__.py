"""The Messages wire (Anthropic's, and whoever speaks it). All pure.

request.py    a `SampleRequest` as a body; `headers` beside it
messages.py   a history as messages: who speaks, what goes together, what is left out
abilities.py  what each Claude model takes: the table of thinking, effort, versions
decode.py     a stream as `StreamEvent`s
blocks.py     a block as a history item, and the whole message as it was accumulated
events.py     the events, as far as we look into them
ending.py     why it stopped, what it used
partial.py    as much as is certain of JSON that was cut off
"""
