"""A step as it is streamed: events of the Responses API, pauses between them, and how it ends.

The order of the events is OpenAI's: created, in_progress, then for each item added, its deltas, done, and at last one
terminal event with the whole response. What a client hears from us it could hear from there.

The other wires play the same acts with other words: `chat` and `messages` replace what is said for an opening, a
message, reasoning, a call and an ending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, assert_never

import msgspec

from actors.rehearsal import load as loads
from actors.rehearsal.cast import Cue
from actors.rehearsal.prompt import Prompt
from actors.rehearsal.script import (
    Act,
    Call,
    Cut,
    Fail,
    Freeform,
    Incomplete,
    Load,
    Raw,
    Reason,
    Refuse,
    Say,
    SceneError,
    Status,
    Wait,
)

Ending = Literal["end", "close", "hang"]
"""The body ends in order; the connection is broken; nothing more comes and nothing ends."""

Beat = float | bytes | Ending
"""Seconds to wait, bytes to send, or the ending, which comes last."""

CHARS_PER_TOKEN = 4
"""For usage figures; nobody bills them."""

_TOKEN = re.compile(r"\s*\S{1,6}|\s+")


def tokens_of(text: str) -> list[str]:
    """A text in the pieces in which a model would stream it."""
    return _TOKEN.findall(text)


class Playing:
    """One answer. `beats` may be asked for once; `response` is then the response as it stands."""

    def __init__(self, cue: Cue, prompt: Prompt, *, serial: str, now: Callable[[], float]) -> None:
        self.response: dict[str, Any] = {
            "id": f"resp_{serial}",
            "object": "response",
            "created_at": int(now()),
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": prompt.model,
            "output": [],
            "usage": None,
        }
        self._cue = cue
        self._names = cue.names
        self._prompt = prompt
        self._serial = serial
        self._now = now
        self._events = 0
        self._output: list[dict[str, Any]] = self.response["output"]
        self._index = 0
        self._said_chars = 0
        self._ending: Ending = "end"
        self._over = False
        """The terminal word was said."""

    def beats(self) -> Iterator[Beat]:
        """Everything, in order. Raises SceneError when it comes to something that cannot be said."""
        yield self._opening()
        for act in self._cue.acts:
            yield from self._act(act)
            if self._over or isinstance(act, Cut):
                break
        else:
            yield self._complete()
        yield self._ending

    @staticmethod
    def scene_error(error: SceneError) -> bytes:
        """What breaks off a stream whose scene turns out to be wrong."""
        data = {"type": "error", "code": "invalid_prompt", "message": str(error), "param": None}
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(data)

    def _act(self, act: Act) -> Iterator[Beat]:
        match act:
            case Say():
                yield from self._say(self._names.fill(act.text), act.tokens_per_second, phase=act.phase)
            case Reason():
                yield from self._reason(self._names.fill(act.text), act.tokens_per_second)
            case Refuse():
                yield from self._say(self._names.fill(act.text), act.tokens_per_second, refusal=True)
            case Call():
                lines = self._names.lines(act.each) if act.each is not None else [""]
                for line in lines:
                    yield self._call(act.tool, self._names.fill_in(act.arguments, each=line))
            case Freeform():
                yield self._freeform(act.tool, self._names.fill(act.input))
            case Wait():
                yield act.seconds
            case Load():
                yield from self._load()
            case Raw():
                yield self._names.fill(act.text).encode()
            case Fail():
                yield self._fail(act.code, self._names.fill(act.message), announced=act.announced)
            case Incomplete():
                yield self._cut_off(act.reason)
            case Cut():
                self._ending = act.how
            case Status():
                raise SceneError(f"scene {self._cue.scene!r}: a status can only come first")
            case _:
                assert_never(act)

    # --- items ------------------------------------------------------------------------------------------------------

    def _say(
        self, text: str, tokens_per_second: float, *, phase: str | None = None, refusal: bool = False
    ) -> Iterator[Beat]:
        item, head = self._message(phase, refusal=refusal)
        if head:
            yield head
        for token in tokens_of(text):
            yield 1 / tokens_per_second if tokens_per_second else 0.0
            yield self._delta(item, token, refusal=refusal)
        if done := self._message_done(item, text, refusal=refusal):
            yield done

    def _message(self, phase: str | None, *, refusal: bool = False) -> tuple[dict[str, Any], bytes]:
        item: dict[str, Any] = {
            "id": f"msg_{self._serial}_{self._index}",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        if phase is not None:
            item["phase"] = phase
        part = self._part("", refusal=refusal)
        added = self._event("response.output_item.added", output_index=self._index, item=item)
        return item, added + self._part_event("response.content_part.added", item, part=part)

    def _delta(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        name = "response.refusal.delta" if refusal else "response.output_text.delta"
        self._said_chars += len(text)
        return self._part_event(name, item, delta=text)

    def _message_done(self, item: dict[str, Any], text: str, *, refusal: bool = False) -> bytes:
        part = self._part(text, refusal=refusal)
        if refusal:
            done = self._part_event("response.refusal.done", item, refusal=text)
        else:
            done = self._part_event("response.output_text.done", item, text=text)
        done += self._part_event("response.content_part.done", item, part=part)
        item["content"] = [part]
        return done + self._finished(item)

    def _reason(self, text: str, tokens_per_second: float) -> Iterator[Beat]:
        item: dict[str, Any] = {"id": f"rs_{self._serial}_{self._index}", "type": "reasoning", "summary": []}
        yield self._event("response.output_item.added", output_index=self._index, item=item)
        for number, part in enumerate(text.strip().split("\n\n")):
            at = {"item_id": item["id"], "output_index": self._index, "summary_index": number}
            yield self._event("response.reasoning_summary_part.added", **at, part={"type": "summary_text", "text": ""})
            for token in tokens_of(part):
                yield 1 / tokens_per_second if tokens_per_second else 0.0
                self._said_chars += len(token)
                yield self._event("response.reasoning_summary_text.delta", **at, delta=token)
            summary = {"type": "summary_text", "text": part}
            yield self._event("response.reasoning_summary_text.done", **at, text=part) + self._event(
                "response.reasoning_summary_part.done", **at, part=summary
            )
            item["summary"] = [*item["summary"], summary]
        item["encrypted_content"] = f"rehearsed-{self._serial}-{self._index}"
        yield self._finished(item)

    def _call(self, tool: str, arguments: Any) -> bytes:
        return self._whole_call(tool, msgspec.json.encode(arguments).decode(), freeform=False)

    def _freeform(self, tool: str, text: str) -> bytes:
        if self._prompt.tools.get(tool) == "function":
            return self._call(tool, {"input": text})
        return self._whole_call(tool, text, freeform=True)

    def _whole_call(self, tool: str, text: str, *, freeform: bool) -> bytes:
        prefix, kind, field = ("ctc", "custom_tool_call", "input") if freeform else ("fc", "function_call", "arguments")
        event = "custom_tool_call_input" if freeform else "function_call_arguments"
        item: dict[str, Any] = {
            "id": f"{prefix}_{self._serial}_{self._index}",
            "type": kind,
            "status": "in_progress",
            "call_id": f"call_{self._serial}_{self._index}",
            "name": tool,
            field: "",
        }
        at = {"item_id": item["id"], "output_index": self._index}
        self._said_chars += len(text)
        head = self._event("response.output_item.added", output_index=self._index, item=item)
        head += self._event(f"response.{event}.delta", **at, delta=text)
        head += self._event(f"response.{event}.done", **at, **{field: text})
        item[field] = text
        return head + self._finished(item)

    def _load(self) -> Iterator[Beat]:
        try:
            load = loads.read_load(self._prompt.user)
        except loads.LoadError as error:
            raise SceneError(f"scene {self._cue.scene!r}: {error}") from error
        if load.tools and self._prompt.round < load.rounds:
            shell = next(
                (name for name in ("exec_command", "shell_command", "shell") if name in self._prompt.tools), ""
            )
            key = "cmd" if shell in ("exec_command", "") else "command"
            calls = [self._call(shell or "exec_command", {key: loads.command(load)}) for _ in range(load.tools)]
            yield b"".join(calls)
            return
        if load.wait:
            yield load.wait / 1000
        item, head = self._message(None)
        if head:
            yield head
        text: list[str] = []
        for first in range(0, load.deltas, load.chunk):
            numbers = range(first, min(first + load.chunk, load.deltas))
            if load.rate:
                yield len(numbers) / load.rate
            now = self._now()
            pieces = [loads.delta_text(load, number, now) for number in numbers]
            text += pieces
            yield b"".join([self._delta(item, piece) for piece in pieces])
        if done := self._message_done(item, "".join(text)):
            yield done

    # --- events -----------------------------------------------------------------------------------------------------

    def _opening(self) -> bytes:
        opening = self._event("response.created", response=self.response)
        return opening + self._event("response.in_progress", response=self.response)

    def _complete(self) -> bytes:
        return self._end("completed", "response.completed")

    def _fail(self, code: str, message: str, *, announced: bool) -> bytes:
        error = {"code": code, "message": message}
        self.response["error"] = error
        first = self._event("error", error={"type": code, **error, "param": None}) if announced else b""
        return first + self._end("failed", "response.failed")

    def _cut_off(self, reason: str) -> bytes:
        self.response["incomplete_details"] = {"reason": reason}
        return self._end("incomplete", "response.incomplete")

    def _end(self, status: str, event: str) -> bytes:
        self._over = True
        self.response["status"] = status
        input_tokens, output_tokens = self._tokens()
        if status != "failed":
            self.response["usage"] = {
                "input_tokens": input_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input_tokens + output_tokens,
            }
        return self._event(event, response=self.response)

    def _tokens(self) -> tuple[int, int]:
        """Of the request and of the answer."""
        return -(-self._prompt.input_chars // CHARS_PER_TOKEN), -(-self._said_chars // CHARS_PER_TOKEN)

    def _finished(self, item: dict[str, Any]) -> bytes:
        if "status" in item:
            item["status"] = "completed"
        self._output.append(item)
        done = self._event("response.output_item.done", output_index=self._index, item=item)
        self._index += 1
        return done

    def _part(self, text: str, *, refusal: bool) -> dict[str, Any]:
        if refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": []}

    def _part_event(self, name: str, item: dict[str, Any], **fields: Any) -> bytes:
        return self._event(name, item_id=item["id"], output_index=self._index, content_index=0, **fields)

    def _event(self, name: str, **fields: Any) -> bytes:
        number = self._events
        self._events = number + 1
        data = msgspec.json.encode({"type": name, "sequence_number": number, **fields})
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
