"""The three wires of the rehearsal server: how each one's requests are read and its answers played."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.rehearsal import chat, messages, prompt
from actors.rehearsal.chat import ChatPlaying
from actors.rehearsal.messages import MessagesPlaying
from actors.rehearsal.play import Playing
from actors.rehearsal.prompt import Prompt


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One wire, from the server's side."""

    name: str
    read: Callable[[bytes], Prompt]
    """Raises NotAPromptError."""
    playing: type[Playing]


BY_PATH = {
    "/v1/responses": Spoken(name="Responses", read=prompt.read_prompt, playing=Playing),
    "/v1/chat/completions": Spoken(name="Chat Completions", read=chat.read_prompt, playing=ChatPlaying),
    "/v1/messages": Spoken(name="Messages", read=messages.read_prompt, playing=MessagesPlaying),
}
