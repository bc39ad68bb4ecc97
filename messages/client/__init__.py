"""The client wire: JSON-RPC without its ``jsonrpc`` member, in the vocabulary of the Codex app-server, version 2.

envelope    what every message is, and the error codes
initialize  who is there and what it can do
thread      threads: start, resume, read, list, name, settings, terminals
turn        turns: start, steer, interrupt, and how they are told
item        the things in a turn
event       notifications about a thread
approval    questions to the user, as requests to the client
account     who pays (nobody: keys are the daemon's own)
config      settings as clients read and write them
model       the models on offer
command     one-off commands beside any thread
listing     skills, hooks, modes, plugins: what there is none of yet
offers      permission profiles, features, providers, limits
files       files as clients read and find them
search      threads found by words
callboard   what we add under ``callboard/``

Structs ending in ``Params`` are what a client sends: fields we do not know are ignored, a missing field with a default
may also be null. Everything else is what we send. Source: reference/protocol, its JSON schemas and transcripts.
"""
