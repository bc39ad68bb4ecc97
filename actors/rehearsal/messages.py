"""The same scenes on the Anthropic Messages wire: its requests read, its events played.

As Anthropic streams them: message_start, a ping, for each block its start, deltas and stop, then message_delta with the
stop reason and message_stop. Reasoning is a thinking block with a signature, so that it must come back unmodified.
"""

# ruff: noqa: ARG002  # what replaces the base's words takes its arguments, needed on this wire or not
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.json import Decoder

from actors.rehearsal.play import Beat, Playing, tokens_of
from actors.rehearsal.prompt import Item, NotAPromptError, Prompt, prompt_of
from actors.rehearsal.script import SceneError


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[dict[str, Any]]


class _Tool(msgspec.Struct, frozen=True):
    name: str = ""


class _Body(msgspec.Struct, frozen=True):
    model: str
    max_tokens: int
    messages: list[_Message]
    tools: list[_Tool] = []
    output_config: dict[str, Any] | None = None
    stream: bool = False


_body: Decoder[_Body] = Decoder(_Body)


def read_prompt(body: bytes) -> Prompt:
    """Raises NotAPromptError."""
    try:
        request = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPromptError(str(error)) from error
    form = (request.output_config or {}).get("format")
    return prompt_of(
        body,
        model=request.model,
        items=[item for message in request.messages for item in _items(message)],
        tools={tool.name: "function" for tool in request.tools},
        schema=form.get("schema") if isinstance(form, dict) and form.get("type") == "json_schema" else None,
        stream=request.stream,
    )


def _items(message: _Message) -> Iterator[Item]:
    if isinstance(message.content, str):
        yield Item(role=message.role, content=message.content)
        return
    said: list[dict[str, Any]] = []
    for block in message.content:
        match block.get("type"):
            case "tool_result":
                yield Item(
                    type="function_call_output", call_id=str(block.get("tool_use_id", "")), output=block.get("content")
                )
            case "tool_use":
                yield Item(type="function_call", call_id=str(block.get("id", "")), name=str(block.get("name", "")))
            case "text":
                said.append(block)
    if said:
        yield Item(role=message.role, content=said)


class MessagesPlaying(Playing):
    """One answer. The response is the whole message."""

    _blocks: list[dict[str, Any]]

    @staticmethod
    def scene_error(error: SceneError) -> bytes:
        return _event("error", error={"type": "invalid_request_error", "message": str(error)})

    def _opening(self) -> bytes:
        self._blocks = []
        self.response.clear()
        self.response |= {
            "id": f"msg_{self._serial}",
            "type": "message",
            "role": "assistant",
            "model": self._prompt.model,
            "content": self._blocks,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._tokens()[0], "output_tokens": 1},
        }
        return _event("message_start", message=self.response) + _event("ping")

    def _message(self, phase: str | None, *, refusal: bool = False) -> tuple[dict[str, Any], bytes]:
        block = {"type": "text", "text": ""}
        return block, _event("content_block_start", index=len(self._blocks), content_block=block)

    def _delta(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        self._said_chars += len(text)
        return self._block_delta({"type": "text_delta", "text": text})

    def _message_done(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        if refusal:
            self.response["stop_reason"] = "refusal"
        return self._stop({"type": "text", "text": text})

    def _reason(self, text: str, tokens_per_second: float) -> Iterator[Beat]:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        yield _event("content_block_start", index=len(self._blocks), content_block=block)
        for token in tokens_of(text.strip()):
            yield 1 / tokens_per_second if tokens_per_second else 0.0
            self._said_chars += len(token)
            yield self._block_delta({"type": "thinking_delta", "thinking": token})
        signature = f"rehearsed-{self._serial}-{len(self._blocks)}"
        signed = self._block_delta({"type": "signature_delta", "signature": signature})
        yield signed + self._stop({"type": "thinking", "thinking": text.strip(), "signature": signature})

    def _whole_call(self, tool: str, text: str, *, freeform: bool) -> bytes:
        if freeform:  # this wire has no such thing; a scene may still ask for one that was not offered
            text = msgspec.json.encode({"input": text}).decode()
        call = {"type": "tool_use", "id": f"toolu_{self._serial}{len(self._blocks)}", "name": tool}
        self._said_chars += len(text)
        start = _event("content_block_start", index=len(self._blocks), content_block={**call, "input": {}})
        pieces = ("", text) if text != "{}" else ("",)
        deltas = [self._block_delta({"type": "input_json_delta", "partial_json": piece}) for piece in pieces]
        return start + b"".join(deltas) + self._stop({**call, "input": msgspec.json.decode(text)})

    def _complete(self) -> bytes:
        calls = any(block["type"] == "tool_use" for block in self._blocks)
        return self._finish(self.response["stop_reason"] or ("tool_use" if calls else "end_turn"))

    def _cut_off(self, reason: str) -> bytes:
        return self._finish("refusal" if reason == "content_filter" else "max_tokens")

    def _fail(self, code: str, message: str, *, announced: bool) -> bytes:
        self._over = True
        error = {"type": code, "message": message}
        self.response.clear()
        self.response |= {"type": "error", "error": error}
        return _event("error", error=error)

    def _finish(self, reason: str) -> bytes:
        self._over = True
        self.response["stop_reason"] = reason
        self.response["usage"]["output_tokens"] = self._tokens()[1]
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage = {"output_tokens": self._tokens()[1]}
        return _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=len(self._blocks), delta=delta)

    def _stop(self, block: dict[str, Any]) -> bytes:
        index = len(self._blocks)
        self._blocks.append(block)
        return _event("content_block_stop", index=index)


def _event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"type": name, **fields}))
