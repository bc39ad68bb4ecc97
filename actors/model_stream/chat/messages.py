"""A history as the ``messages`` of a Chat Completions request.

Rules that servers insist on, and how they are kept
1. The calls of an answer are one assistant message, followed at once by one tool message for each, then by everything
   else. `rendering.replay` has put the items in that order; here the items of one answer become one message.
2. A tool message holds text. Images of outputs follow the last of them as a message of the user's, unless the server
   takes them where they are.
3. Arguments are the text of a JSON object, also those that the model got wrong.
4. An assistant message has words or calls; one with neither is not sent.
5. What only the maker of an item understands (reasoning, signatures) goes back to it alone, in the field it came in.

Append-only: a message depends on what is before it and on the rest of its own answer, never on what comes later.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from actors.model_stream.chat.items import EXTRA_CONTENT, FIELD, MESSAGE_EXTRA_CONTENT, REASONING_DETAILS
from actors.model_stream.rendering import (
    CallIds,
    IdForm,
    Replayed,
    images_of,
    replay,
    text_of,
    valid_arguments,
    wrapped,
)
from messages.items import (
    ContentPart,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    HistoryItem,
    InputImage,
    MessageItem,
    Origin,
    OutputPart,
    ReasoningItem,
)
from messages.settings import Dialect

Message = dict[str, Any]

ID_FORMS = {
    "any": IdForm(accepted=r"[!-~]{1,64}", prefix="call_"),
    "openai": IdForm(accepted=r"[A-Za-z0-9_-]{1,40}", prefix="call_"),
    "nine": IdForm(accepted=r"[A-Za-z0-9]{9}", digits=9),
}
"""OpenAI's own limit on this wire is 40 characters; Mistral wants nine letters and digits."""

NAME_CHARS = 64
"""The longest name of a function that OpenAI takes."""

NO_OUTPUT = "(no output)"
"""For an output without a word: some servers refuse an empty message."""

SEE_IMAGES = "(the image follows)"
"""In the place of an output that is nothing but images."""

BRIDGE = "OK."
"""Between a tool's message and a user's, where a server insists on a word of the model's."""

BLANK_REASONING = " "
"""Moonshot refuses an empty string and takes a blank."""

UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google documents for calls that were not made by Gemini."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def messages_of(instructions: str, history: tuple[HistoryItem, ...], target: Origin, dialect: Dialect) -> list[Message]:
    """All messages, the instructions first."""
    builder = Builder(dialect, instructions)
    for replayed in replay(history, target):
        builder.take(replayed)
    builder.settle()
    return builder.messages


class _Answer:
    """The assistant message under way."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[Message] = []
        self.reasoning: list[str] = []
        self.field = "reasoning_content"
        self.details: list[Any] = []
        self.extra_content: Any = None

    def fork(self) -> _Answer:
        fork = _Answer()
        fork.texts, fork.calls, fork.reasoning = self.texts.copy(), self.calls.copy(), self.reasoning.copy()
        fork.field, fork.details, fork.extra_content = self.field, self.details.copy(), self.extra_content
        return fork


class Builder:
    """Messages in the making: items go in, in their order. Only the last message may yet change."""

    def __init__(self, dialect: Dialect, instructions: str = "") -> None:
        self.messages: list[Message] = []
        self._dialect = dialect
        self._ids = CallIds(ID_FORMS[dialect.call_ids or "any"])
        self._answer: _Answer | None = None
        self._images: list[InputImage] = []
        """Of the outputs since the last answer."""
        if instructions:
            self.say(dialect.system_role or "system", instructions)

    def fork(self) -> Builder:
        """One that goes on from here by itself."""
        fork = Builder(self._dialect)
        fork.messages = [message.copy() for message in self.messages]
        fork._ids = self._ids.fork()
        fork._answer = None if self._answer is None else self._answer.fork()
        fork._images = self._images.copy()
        return fork

    def let_go(self) -> list[Message]:
        """Take away all messages that are as they will be."""
        finished = self.messages[:-1]
        del self.messages[:-1]
        return finished

    def take(self, replayed: Replayed) -> None:
        """The next item."""
        block = replayed.note.block
        match replayed.read:
            case ReasoningItem() as reasoning:
                answer = self._open()
                answer.reasoning += [part.text for part in reasoning.content or reasoning.summary]
                answer.details += block.get(REASONING_DETAILS) or ()
                answer.field = block.get(FIELD) or answer.field
            case MessageItem(role="assistant", content=content):
                answer = self._open()
                if text := text_of(content):
                    answer.texts.append(text)
                if replayed.own:
                    answer.extra_content = block.get(EXTRA_CONTENT)
            case MessageItem(role="user", content=content):
                self.settle()
                self._add_user(content)
            case MessageItem(content=content):
                self.settle()
                self.say(self._role_of_later_instructions(), text_of(content))
            case FunctionCall() as call:
                function = {"name": _name(call.name), "arguments": valid_arguments(call.arguments)}
                self._add_call({"type": "function", "function": function}, call.call_id, replayed)
            case CustomToolCall() as call if self._dialect.freeform_tools:
                custom = {"name": _name(call.name), "input": call.input}
                self._add_call({"type": "custom", "custom": custom}, call.call_id, replayed)
            case CustomToolCall() as call:
                arguments = msgspec.json.encode(wrapped(call.input)).decode()
                function = {"name": _name(call.name), "arguments": arguments}
                self._add_call({"type": "function", "function": function}, call.call_id, replayed)
            case FunctionCallOutput() | CustomToolCallOutput() as output:
                self._add_output(output)
            case None:
                pass  # this wire has no blocks of its own

    def settle(self) -> None:
        """Finish the answer and its outputs."""
        self._close()
        if self._images:
            self._add_user(tuple(self._images))
            self._images.clear()

    def say(self, role: str, text: str) -> None:
        """A message that is one text."""
        if role == "user":
            self._push_user(text)
        elif text:
            self.messages.append({"role": role, "content": text})

    # --- one kind each ----------------------------------------------------------------------------------------------

    def _role_of_later_instructions(self) -> str:
        first = not self.messages
        return (self._dialect.system_role if first else self._dialect.later_system_role) or "user"

    def _add_user(self, content: tuple[ContentPart, ...]) -> None:
        if not images_of(content):
            self._push_user(text_of(content))
            return
        parts: list[Message] = []
        for part in content:
            if isinstance(part, InputImage):
                parts.append(_image(part))
            elif text := text_of((part,)):
                parts.append({"type": "text", "text": text})
        self._push_user(parts)

    def _push_user(self, content: str | list[Message]) -> None:
        if not content:
            return
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "tool" and not self._dialect.user_after_tool:
            self.messages.append({"role": "assistant", "content": BRIDGE})
        elif last is not None and last["role"] == "user" and self._dialect.merge_users:
            last["content"] = _joined(last["content"], content)
            return
        self.messages.append({"role": "user", "content": content})

    def _add_call(self, call: Message, call_id: str, replayed: Replayed) -> None:
        answer = self._open()
        block = replayed.note.block if replayed.own else {}
        call = {"id": self._ids.call(call_id), **call}
        extra_content = block.get(EXTRA_CONTENT)
        if extra_content is None and self._dialect.signed_calls and not replayed.own:
            extra_content = UNSIGNED
        if extra_content is not None:
            call["extra_content"] = extra_content
        if MESSAGE_EXTRA_CONTENT in block:
            answer.extra_content = block[MESSAGE_EXTRA_CONTENT]
        answer.calls.append(call)

    def _add_output(self, output: FunctionCallOutput | CustomToolCallOutput) -> None:
        self._close()
        text, images = text_of(output.output), images_of(output.output)
        content: str | list[Message]
        if images and self._dialect.tool_images:
            content = [_part(part) for part in output.output if not isinstance(part, str)]
        else:
            content = text or (SEE_IMAGES if images else NO_OUTPUT)
            self._images += images
        self.messages.append({"role": "tool", "tool_call_id": self._ids.answered(output.call_id), "content": content})

    # --- answers ----------------------------------------------------------------------------------------------------

    def _open(self) -> _Answer:
        if self._answer is None:
            self.settle()
            self._answer = _Answer()
        return self._answer

    def _close(self) -> None:
        answer = self._answer
        self._answer = None
        if answer is None or not (answer.texts or answer.calls):
            return
        text = "\n\n".join(answer.texts)
        message: Message = {"role": "assistant", "content": text or None}
        if answer.calls or self._dialect.reasoning_echo_on == "all":
            self._echo(answer, message, text)
        if answer.calls:
            message["tool_calls"] = answer.calls
        if answer.extra_content is not None:
            message["extra_content"] = answer.extra_content
        self.messages.append(message)

    def _echo(self, answer: _Answer, message: Message, text: str) -> None:
        """Give the model its reasoning back, as it wants it."""
        reasoning = "".join(answer.reasoning)
        match self._dialect.reasoning_echo:
            case "field" if reasoning and answer.field != "thinking":
                message[answer.field] = reasoning
            case "details" if answer.details:
                message[REASONING_DETAILS] = answer.details
            case "thinking" if reasoning:
                parts: list[Message] = [{"type": "thinking", "thinking": [{"type": "text", "text": reasoning}]}]
                if text:
                    parts.append({"type": "text", "text": text})
                message["content"] = parts
            case _:
                if self._dialect.reasoning_required:
                    message["reasoning_content"] = BLANK_REASONING


def _part(part: OutputPart) -> Message:
    return _image(part) if isinstance(part, InputImage) else {"type": "text", "text": text_of((part,))}


def _image(image: InputImage) -> Message:
    url: Message = {"url": image.image_url}
    if image.detail in ("auto", "low", "high"):  # `original` is a word of the Responses wire
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def _joined(first: str | list[Message], second: str | list[Message]) -> str | list[Message]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [
        part
        for content in (first, second)
        for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
    ]


def _name(name: str) -> str:
    """A name as servers take it: models invent names, and other wires allow longer ones."""
    return _NOT_IN_A_NAME.sub("_", name)[:NAME_CHARS] or "unknown"
