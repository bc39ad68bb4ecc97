"""A chunk of a Chat Completions stream, as far as we look into it.

Everything a compatible server was seen to send in more than one shape is `Any` and looked at with care where it is
used: a field of a strange type must not cost the chunk. What is not named here is skipped at the speed of a scan.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.json import Decoder


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What a choice adds, or its whole message."""

    content: Any = None
    """A string, or a list of parts (Mistral)."""
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    """A call as it was before there were tools."""
    reasoning_details: Any = None
    """OpenRouter: opaque, and wanted back."""
    extra_content: Any = None
    """Gemini: opaque, and wanted back."""
    annotations: Any = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One of the answers; there is only ever one, since nobody asks for more."""

    index: Any = None
    delta: Delta | None = None
    message: Delta | None = None
    """Of a response that was not streamed; Perplexity repeats all so far in every chunk beside the delta."""
    finish_reason: Any = None
    native_finish_reason: Any = None
    error: Any = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event, or a whole response."""

    id: Any = None
    object: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


chunk_decoder: Decoder[Chunk] = Decoder(Chunk)
any_decoder: Decoder[Any] = Decoder()

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
