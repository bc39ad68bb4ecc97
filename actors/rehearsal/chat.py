"""The same scenes on the Chat Completions wire: its requests read, its chunks played.

As OpenAI streams them: a chunk with the role, deltas, a chunk with the finish reason, one with the usage alone,
``[DONE]``. Reasoning comes as ``reasoning_content``, as most servers of this wire have it; a call's arguments come in a
chunk of their own behind its name.
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


class _Function(msgspec.Struct, frozen=True):
    name: str = ""


class _Call(msgspec.Struct, frozen=True):
    id: str = ""
    type: str = "function"
    function: _Function = _Function()
    custom: _Function = _Function()


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: Any = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: list[_Message]
    tools: list[_Call] = []
    response_format: dict[str, Any] | None = None
    stream: bool = False


_body: Decoder[_Body] = Decoder(_Body)


def read_prompt(body: bytes) -> Prompt:
    """Raises NotAPromptError."""
    try:
        request = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPromptError(str(error)) from error
    form = request.response_format or {}
    wanted = form.get("json_schema") if form.get("type") == "json_schema" else None
    return prompt_of(
        body,
        model=request.model,
        items=[item for message in request.messages for item in _items(message)],
        tools={(tool.custom if tool.type == "custom" else tool.function).name: tool.type for tool in request.tools},
        schema=wanted.get("schema") if isinstance(wanted, dict) else None,
        stream=request.stream,
    )


def _items(message: _Message) -> Iterator[Item]:
    if message.role == "tool":
        yield Item(type="function_call_output", call_id=message.tool_call_id, output=message.content)
        return
    if message.content is not None:
        yield Item(role=message.role, content=message.content)
    for call in message.tool_calls or ():
        name = (call.custom if call.type == "custom" else call.function).name
        yield Item(type="function_call", call_id=call.id, name=name)


class ChatPlaying(Playing):
    """One answer. The response is the whole completion."""

    _choice: dict[str, Any]

    @staticmethod
    def scene_error(error: SceneError) -> bytes:
        return _frame({"error": {"message": str(error), "type": "invalid_request_error", "code": "invalid_prompt"}})

    def _opening(self) -> bytes:
        self._choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        created = self.response["created_at"]
        self.response.clear()
        self.response |= {
            "id": f"chatcmpl-{self._serial}",
            "object": "chat.completion",
            "created": created,
            "model": self._prompt.model,
            "choices": [self._choice],
            "usage": None,
        }
        return self._chunk({"role": "assistant", "content": ""})

    def _message(self, phase: str | None, *, refusal: bool = False) -> tuple[dict[str, Any], bytes]:
        return {}, b""

    def _delta(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        self._said_chars += len(text)
        return self._chunk({"refusal" if refusal else "content": text})

    def _message_done(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        field = "refusal" if refusal else "content"
        before = self._choice["message"].get(field)
        self._choice["message"][field] = f"{before}{text}" if before else text
        return b""

    def _reason(self, text: str, tokens_per_second: float) -> Iterator[Beat]:
        for token in tokens_of(text.strip()):
            yield 1 / tokens_per_second if tokens_per_second else 0.0
            self._said_chars += len(token)
            yield self._chunk({"reasoning_content": token})
        before = self._choice["message"].get("reasoning_content", "")
        self._choice["message"]["reasoning_content"] = f"{before}{text.strip()}"

    def _whole_call(self, tool: str, text: str, *, freeform: bool) -> bytes:
        kind, field = ("custom", "input") if freeform else ("function", "arguments")
        calls = self._choice["message"].setdefault("tool_calls", [])
        at = {"index": len(calls)}
        call = {"id": f"call_{self._serial}_{len(calls)}", "type": kind}
        calls.append({**call, kind: {"name": tool, field: text}})
        self._said_chars += len(text)
        head = self._chunk({"tool_calls": [{**at, **call, kind: {"name": tool, field: ""}}]})
        return head + self._chunk({"tool_calls": [{**at, kind: {field: text}}]})

    def _complete(self) -> bytes:
        return self._finish("tool_calls" if "tool_calls" in self._choice["message"] else "stop")

    def _cut_off(self, reason: str) -> bytes:
        return self._finish("content_filter" if reason == "content_filter" else "length")

    def _fail(self, code: str, message: str, *, announced: bool) -> bytes:
        self._over = True
        error = {"error": {"message": message, "type": code, "param": None, "code": code}}
        self.response.clear()
        self.response |= error
        return _frame(error)

    def _finish(self, reason: str) -> bytes:
        self._over = True
        self._choice["finish_reason"] = reason
        input_tokens, output_tokens = self._tokens()
        usage = {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
        self.response["usage"] = usage
        last = _frame({**self._head(), "choices": [], "usage": usage})
        return self._chunk({}, reason) + last + b"data: [DONE]\n\n"

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.response["id"],
            "object": "chat.completion.chunk",
            "created": self.response["created"],
            "model": self.response["model"],
        }

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _frame({**self._head(), "choices": [choice]})


def _frame(data: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(data)
