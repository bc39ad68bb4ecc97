"""What is said: frozen msgspec structs, and nothing else. Imports none of ours.

base         what every message shares: lanes and delivery
items        the vocabulary of a conversation (OpenAI Responses items, widened so that nothing is lost on replay)
model        session <-> model_stream: a request to sample, and what is heard
tools        session <-> tool_worker: a call's life from prepared to finished
session      gateway <-> session: turns, steering, interrupts, approvals
log          what a rollout's lines say
settings     the validated configuration snapshot
credentials  asking for headers; the secret type that cannot be printed
failure      one taxonomy of what went wrong
client/      the WebSocket wire: the Codex app-server vocabulary
"""

from __future__ import annotations

__distribution__ = "callboard"
