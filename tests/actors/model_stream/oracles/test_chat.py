"""The Chat Completions wire: as the official SDK hears OpenAI, and as each compatible server means what it sends.

What a stream means is known here because the answer is made first and then said in a server's own way.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type_unchecked
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from actors.model_stream import report
from tests.actors.model_stream.oracles.framing import framed

Chunk = dict[str, Any]

words = st.text(min_size=1, max_size=12)
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said."""

    reasoning: tuple[str, ...]
    text: tuple[str, ...]
    refusal: tuple[str, ...]
    calls: tuple[Call, ...]

    @property
    def finish(self) -> str:
        return "tool_calls" if self.calls else "stop"


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    arguments = st.sampled_from(("{}", '{"path":"a.py"}', '{"deep":{"a":[1,2.5,null]},"ü":"☃"}'))
    calls = tuple(
        Call(id=f"call_{number}", name=draw(st.sampled_from(("look", "run"))), arguments=draw(arguments))
        for number in range(draw(st.integers(0, 3)))
    )
    several = st.lists(words, max_size=4).map(tuple)
    refusal = draw(several) if draw(st.integers(0, 4)) == 0 else ()
    return Answer(reasoning=draw(several), text=draw(several), refusal=refusal, calls=calls)


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> Chunk:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish, "logprobs": None}
    head: Chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    return {**head, "choices": [choice], **fields}


def call_delta(**fields: Any) -> Any:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return {"tool_calls": [{**fields, "type": "function", "function": function}]}


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


@st.composite
def plain(draw: st.DrawFn, answer: Answer) -> list[Chunk]:
    """As OpenAI says it: id and name once, then arguments; parallel calls may be interleaved."""
    chunks = [chunk({"role": "assistant", "content": "" if answer.text else None, "refusal": None})]
    chunks += [chunk({"content": each}) for each in answer.text]
    chunks += [chunk({"refusal": each}) for each in answer.refusal]
    chunks += [
        chunk(call_delta(index=index, id=call.id, name=call.name, arguments=""))
        for index, call in enumerate(answer.calls)
    ]
    left = [_cut(draw, call.arguments) for call in answer.calls]
    while any(left):
        index = draw(st.sampled_from([number for number, each in enumerate(left) if each]))
        piece = left[index].pop(0)
        chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    chunks.append(chunk(finish=answer.finish))
    return [*chunks, {**chunk(), "choices": [], "usage": USAGE}]


@st.composite
def peculiar(draw: st.DrawFn, answer: Answer) -> list[Chunk]:
    """As some compatible server or other says it."""
    chunks: list[Chunk] = []
    if draw(st.booleans()):  # Azure
        chunks.append({"id": "", "object": "", "model": "", "choices": [], "prompt_filter_results": []})
    fields = draw(st.sampled_from((("reasoning_content",), ("reasoning",), ("reasoning_content", "reasoning"))))
    if draw(st.booleans()):
        chunks += [chunk(dict.fromkeys(fields, each)) for each in answer.reasoning]
        style = "text"
    else:  # Mistral
        thinking = [[{"type": "thinking", "thinking": [{"type": "text", "text": each}]}] for each in answer.reasoning]
        chunks += [chunk({"content": each}) for each in thinking]
        style = "parts"
    for each in answer.text:
        chunks.append(chunk({"content": each if style == "text" else [{"type": "text", "text": each}]}))
    chunks += [chunk({"refusal": each, "content": None, "tool_calls": None}) for each in answer.refusal]
    # A server is one way or another, and is so for all of an answer's calls.
    manner = draw(st.sampled_from(("no index", "same index", "repeats", "objects", "incremental", "string index")))
    for index, call in enumerate(answer.calls):
        chunks += _peculiar_call(draw, manner, index, call)
    finish = draw(st.sampled_from((answer.finish, "stop")))
    ending = draw(st.sampled_from(("beside", "behind", "before", "every")))
    if ending == "before":  # Groq
        chunks.append(chunk(finish=finish, x_groq={"id": "r", "usage": USAGE}, usage=USAGE))
    elif ending == "behind":
        chunks += [chunk(finish=finish), {**chunk(), "choices": [], "usage": USAGE}]
    elif ending == "beside":  # OpenRouter
        chunks += [chunk(finish=finish), chunk({"role": "assistant", "content": ""}, finish, usage=USAGE)]
    else:  # Perplexity
        chunks = [{**each, "usage": {**USAGE, "completion_tokens": 1}} for each in chunks]
        chunks.append(chunk(finish=finish, usage=USAGE))
    if draw(st.booleans()):  # Groq's compound models
        chunks = [{**each, "id": f"x-{number}"} for number, each in enumerate(chunks)]
    return chunks


def _peculiar_call(draw: st.DrawFn, manner: str, index: int, call: Call) -> list[Chunk]:
    match manner:
        case "no index":  # Gemini, Mistral
            return [chunk(call_delta(id=call.id, name=call.name, arguments=call.arguments))]
        case "same index":  # Cerebras
            return [chunk(call_delta(index=0, id=call.id, name=call.name, arguments=call.arguments))]
        case "repeats":  # old proxies
            return [
                chunk(call_delta(index=index, id=call.id, name=call.name, arguments=piece))
                for piece in (None, *_cut(draw, call.arguments))
            ]
        case "objects":
            parsed = msgspec.json.decode(call.arguments)
            return [chunk(call_delta(index=index, id=call.id, name=call.name, arguments=parsed))]
        case "incremental":
            first, *rest = _cut(draw, call.arguments)
            begun = chunk(call_delta(id=call.id, name=call.name, arguments=first))
            return [begun, *(chunk({"tool_calls": [{"function": {"arguments": piece}}]}) for piece in rest)]
        case _:
            return [chunk(call_delta(index=str(index), id=call.id, name=call.name, arguments=call.arguments))]


def check(told: dict[str, Any], answer: Answer) -> None:
    assert told["text"] == "".join(answer.text)
    assert (told["refusal"] or "") == "".join(answer.refusal)
    assert [(call["id"], call["name"], msgspec.json.decode(call["arguments"])) for call in told["tool_calls"]] == [
        (call.id, call.name, msgspec.json.decode(call.arguments)) for call in answer.calls
    ]
    assert (told["usage"], told["error"]) == (USAGE, None)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), answer=answers())
def test_we_hear_openai_as_the_sdk_does(data: st.DataObject, answer: Answer) -> None:
    chunks = data.draw(plain(answer))
    told = report.normalized(report.hear("chat", b"".join(data.draw(framed(chunks, names=False, done=True)))))
    state: Any = ChatCompletionStreamState()
    for each in chunks:
        made: Any = construct_type_unchecked(type_=ChatCompletionChunk, value=each)
        state.handle_chunk(made)
    theirs = state.get_final_completion().to_dict(mode="json")["choices"][0]
    message = theirs["message"]
    assert told["text"] == (message["content"] or "")
    assert (told["refusal"] or "") == (message.get("refusal") or "")
    assert [(call["id"], call["name"], call["arguments"]) for call in told["tool_calls"]] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    assert told["stop"] == theirs["finish_reason"]
    check(told, answer)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), answer=answers())
def test_we_hear_what_a_compatible_server_means(data: st.DataObject, answer: Answer) -> None:
    chunks, done = data.draw(peculiar(answer)), data.draw(st.booleans())
    heard = report.hear("chat", b"".join(data.draw(framed(chunks, names=False, done=done))))
    assert heard.failure is None
    told = report.normalized(heard)
    check(told, answer)
    assert told["reasoning"] == "".join(answer.reasoning)
    assert report.told(heard)["stop"] == ("tool_use" if answer.calls else "refused" if answer.refusal else "end")


@settings(max_examples=30, deadline=None)
@given(data=st.data(), answer=answers())
def test_a_response_that_was_not_streamed_comes_to_the_same(data: st.DataObject, answer: Answer) -> None:
    streamed = report.hear("chat", b"".join(data.draw(framed(data.draw(plain(answer)), names=False, done=True))))
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
    message = {"role": "assistant", "content": "".join(answer.text) or None, "refusal": "".join(answer.refusal) or None}
    choice = {"index": 0, "message": {**message, "tool_calls": calls or None}, "finish_reason": answer.finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [choice]}
    whole = report.hear("chat", msgspec.json.encode({**body, "usage": USAGE}))
    assert report.normalized(whole) == report.normalized(streamed)
    assert [item.raw for item in whole.items] == [item.raw for item in streamed.items]
