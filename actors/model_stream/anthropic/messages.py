"""A history as messages of the Messages wire.

Rules, most of them 400s of the provider's
1. What a model said without interruption is one assistant message; everything else until it speaks again is one user
   message, and in it the results come first, one for each call, in call order.
2. Thinking goes back where it was and as it was. Text that is empty or blank is refused and left out; so is, behind the
   last word of the last message, blank space.
3. A call's input is an object, its id and name are of the provider's alphabet.
4. A result that is marked as an error holds text only and is not empty: its images follow the results.
5. The first to speak is a user.
6. What the house says at the beginning belongs to the system prompt. Later it speaks as `system` where the model lets
   it, which is between a user and an assistant, and else as a user, in a tag.
7. A call of one of the provider's own tools that never got its result goes back only where the provider may still be at
   it: at the very end (a paused turn) or beside calls of ours.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Any

import msgspec
from msgspec.json import Decoder

from actors.model_stream.anthropic.abilities import Abilities
from actors.model_stream.anthropic.events import REDACTED_BLOCK, SERVER_CALLS
from actors.model_stream.rendering import (
    CallIds,
    IdForm,
    Replayed,
    arguments_object,
    image_data,
    images_of,
    text_of,
    wrapped,
)
from messages.items import (
    BLOCK_TYPE,
    ContentPart,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    MessageItem,
    OutputPart,
    ReasoningItem,
)

Fields = dict[str, Any]

ID_FORM = IdForm(accepted=r"[a-zA-Z0-9_-]{1,64}", prefix="toolu_")
"""The alphabet is the provider's; it names no length, and its own ids have some thirty characters."""

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
IMAGE_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))

NO_OUTPUT = "(no output)"
NO_TEXT = "(an empty message)"
OPENING = "(The conversation so far begins with the assistant.)"
NO_IMAGE = "(an image that this model cannot be shown)"


class _Opaque(msgspec.Struct, frozen=True):
    type: str = ""
    block: Fields = {}


_opaque: Decoder[_Opaque] = Decoder(_Opaque)


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A history as this wire says it."""

    system: tuple[str, ...]
    """What belongs behind the instructions."""
    earlier: tuple[bytes, ...] = ()
    """The first messages, as JSON."""
    messages: tuple[Fields, ...]
    """Those behind them: the last two at least, if there are so many."""
    called: tuple[str, ...]
    """Names of the tools that were called, each once."""


class _Message:
    """One message in the making. Results stand before everything else, whatever the order they come in."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Fields] = []
        self.blocks: list[Fields] = []

    def fork(self) -> _Message:
        fork = _Message(self.role)
        fork.results, fork.blocks = self.results.copy(), self.blocks.copy()
        return fork

    def fields(self) -> Fields:
        return {"role": self.role, "content": [*self.results, *self.blocks]}


def conversation(history: Sequence[Replayed], abilities: Abilities, *, images: bool) -> Conversation:
    """What the provider is told. ``images``: the model sees."""
    writer = Writer(abilities, images=images)
    finished = server_results(history)
    for position in range(len(history)):
        writer.take(history, position, finished)
    return writer.finish()


KEPT_MESSAGES = 2
"""Those at the end that a request is looked at by (`request._must_not_think`), the last of which may yet grow."""


class Writer:
    """Messages in the making."""

    def __init__(self, abilities: Abilities, *, images: bool) -> None:
        self._abilities = abilities
        self._images = images
        self._ids = CallIds(ID_FORM)
        self._system: list[str] = []
        self._messages: list[_Message] = []
        self._called: dict[str, None] = {}
        self._has_let_go = False

    def fork(self) -> Writer:
        """One that goes on from here by itself."""
        fork = Writer(self._abilities, images=self._images)
        fork._ids = self._ids.fork()
        fork._system, fork._called = self._system.copy(), self._called.copy()
        fork._messages = [message.fork() for message in self._messages]
        fork._has_let_go = self._has_let_go
        return fork

    def let_go(self) -> list[Fields]:
        """Take away all messages that are as they will be."""
        if len(self._messages) <= KEPT_MESSAGES:
            return []
        self._open()
        self._has_let_go = True
        finished = [message.fields() for message in self._messages[:-KEPT_MESSAGES]]
        del self._messages[:-KEPT_MESSAGES]
        return finished

    def take(self, history: Sequence[Replayed], position: int, finished: Container[str]) -> None:
        """The item at a position of a history. ``finished``: the provider's own calls that have their results."""
        replayed = history[position]
        match replayed.read:
            case MessageItem(role="user") as said:
                self.user(said)
            case MessageItem(role="assistant") as said:
                self.assistant(_texts(said, replayed))
            case MessageItem() as said:
                self.house(text_of(said.content), model_is_next=_model_is_next(history, position))
            case ReasoningItem() as reasoning:
                self.assistant(_thinking(reasoning, replayed))
            case FunctionCall() as call:
                self.call(call.call_id, call.name, msgspec.Raw(arguments_object(call.arguments)), replayed)
            case CustomToolCall() as call:
                self.call(call.call_id, call.name, wrapped(call.input), replayed)
            case FunctionCallOutput() | CustomToolCallOutput() as output:
                self.result(output.call_id, output.output, failed=replayed.note.failed)
            case None:
                block = _block(replayed)
                if block and not _is_abandoned(block, finished, history, position):
                    self.assistant([block])

    def user(self, said: MessageItem) -> None:
        blocks = [block for part in said.content for block in self._part(part)]
        self._as("user").blocks.extend(blocks or [_text(NO_TEXT)])

    def assistant(self, blocks: list[Fields]) -> None:
        if blocks:
            self._as("assistant").blocks.extend(blocks)

    def house(self, text: str, *, model_is_next: bool) -> None:
        if not text.strip():
            return
        if not self._messages:
            self._system.append(text)
        elif self._abilities.system_messages and model_is_next and self._messages[-1].role != "assistant":
            self._as("system").blocks.append(_text(text))
        else:
            self._as("user").blocks.append(_text(f"<system>\n{text}\n</system>"))

    def call(self, call_id: str, name: str, arguments: msgspec.Raw | Fields | dict[str, str], made: Replayed) -> None:
        name = name if TOOL_NAME.fullmatch(name) else (re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:128] or "unknown")
        self._called[name] = None
        beyond = made.note.block if made.own else {}
        self.assistant(
            [{"type": "tool_use", "id": self._ids.call(call_id), "name": name, "input": arguments, **beyond}]
        )

    def result(self, call_id: str, output: str | tuple[OutputPart, ...], *, failed: bool) -> None:
        message = self._as("user")
        fields: Fields = {"type": "tool_result", "tool_use_id": self._ids.answered(call_id)}
        if failed:
            message.blocks.extend(block for image in images_of(output) for block in self._part(image))
            fields["content"] = text_of(output) if text_of(output).strip() else NO_OUTPUT
            fields["is_error"] = True
        elif isinstance(output, str):
            if output.strip():
                fields["content"] = output
        else:
            content = [block for part in output for block in self._part(part)]
            if content:
                fields["content"] = content
        message.results.append(fields)

    def _open(self) -> None:
        """Rule 5."""
        if not self._has_let_go and (not self._messages or self._messages[0].role != "user"):
            self._messages.insert(0, _Message("user"))
            self._messages[0].blocks.append(_text(OPENING))

    def finish(self, earlier: tuple[bytes, ...] = ()) -> Conversation:
        """``earlier``: the messages that were taken away."""
        self._open()
        last = self._messages[-1]
        if last.role == "assistant" and last.blocks[-1]["type"] == "text":
            last.blocks[-1] = {**last.blocks[-1], "text": last.blocks[-1]["text"].rstrip()}
        return Conversation(
            system=tuple(self._system),
            earlier=earlier,
            messages=tuple(message.fields() for message in self._messages),
            called=tuple(self._called),
        )

    def _as(self, role: str) -> _Message:
        if not self._messages or self._messages[-1].role != role:
            self._messages.append(_Message(role))
        return self._messages[-1]

    def _part(self, part: ContentPart) -> list[Fields]:
        if not isinstance(part, InputImage):
            text = text_of((part,))
            return [_text(text)] if text.strip() else []
        data = image_data(part.image_url)
        if self._images and data is not None and data.media_type in IMAGE_TYPES:
            source = {"type": "base64", "media_type": data.media_type, "data": data.base64}
        elif self._images and part.image_url.startswith(("https://", "http://")):
            source = {"type": "url", "url": part.image_url}
        else:
            return [_text(NO_IMAGE)]
        return [{"type": "image", "source": source}]


def _text(text: str) -> Fields:
    return {"type": "text", "text": text}


def _texts(said: MessageItem, replayed: Replayed) -> list[Fields]:
    beyond = replayed.note.block if replayed.own else {}
    texts = (text_of((part,)) for part in said.content)
    return [{**_text(text), **beyond} for text in texts if text.strip()]


def _thinking(reasoning: ReasoningItem, replayed: Replayed) -> list[Fields]:
    opaque = reasoning.encrypted_content or ""
    beyond = replayed.note.block
    if beyond.get("type") == REDACTED_BLOCK:
        return [{"type": REDACTED_BLOCK, "data": opaque, **beyond}]
    text = "".join(part.text for part in reasoning.summary)
    if not text and not opaque:
        return []
    return [{"type": "thinking", "thinking": text, "signature": opaque, **beyond}]


def _block(replayed: Replayed) -> Fields:
    read = _opaque.decode(replayed.item.raw)
    return read.block if read.type == BLOCK_TYPE else {}


def is_decided(history: Sequence[Replayed], position: int, finished: Container[str]) -> bool:
    """Whether nothing that may yet follow changes how the item there is said."""
    replayed = history[position]
    match replayed.read:
        case None:
            block = _block(replayed)
            return block.get("type") not in SERVER_CALLS or block.get("id") in finished
        case MessageItem(role=role) if role not in ("user", "assistant"):
            return any(not _is_of_the_house(follower) for follower in history[position + 1 :])
        case _:
            return True


def server_results(history: Sequence[Replayed]) -> frozenset[str]:
    """The ids of the provider's own calls that have their results."""
    blocks = (_block(each) for each in history if each.read is None)
    return frozenset(id_ for block in blocks if isinstance(id_ := block.get("tool_use_id"), str))


def _is_abandoned(block: Fields, finished: Container[str], history: Sequence[Replayed], position: int) -> bool:
    if block.get("type") not in SERVER_CALLS or block.get("id") in finished:
        return False
    for follower in history[position + 1 :]:
        if isinstance(follower.read, FunctionCallOutput | CustomToolCallOutput):
            return False
        if isinstance(follower.read, MessageItem) and follower.read.role != "assistant":
            return True
    return False


def _model_is_next(history: Sequence[Replayed], position: int) -> bool:
    for follower in history[position + 1 :]:
        if _is_of_the_house(follower):
            continue
        return not (isinstance(follower.read, MessageItem) and follower.read.role == "user")
    return True


def _is_of_the_house(replayed: Replayed) -> bool:
    return isinstance(replayed.read, MessageItem) and replayed.read.role in ("system", "developer")
