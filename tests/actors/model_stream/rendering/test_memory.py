"""A request made with the memory of earlier ones has the bytes it would have without."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream.core import WIRES
from actors.model_stream.memory import Memory
from actors.model_stream.rendering import Replay, Replayed
from messages.base import ThreadId, TurnId
from messages.items import BLOCK_TYPE, HistoryItem, Origin
from messages.model import SampleRequest
from messages.settings import Dialect, ProviderSettings, WireApi
from tests.actors.model_stream.rendering.histories import CLAUDE, GPT, OPEN, Thread, item, said, threads

BASE = "http://127.0.0.1:9"
PROVIDERS: tuple[tuple[WireApi, str, tuple[str, ...], ProviderSettings], ...] = (
    (
        "messages",
        CLAUDE.provider,
        (CLAUDE.model, "claude-sonnet-4-5"),
        ProviderSettings(base_url=BASE, wire_api="messages"),
    ),
    ("responses", GPT.provider, (GPT.model,), ProviderSettings(base_url=BASE)),
    ("chat", OPEN.provider, (OPEN.model, "another"), ProviderSettings(base_url=BASE, wire_api="chat")),
    (
        "chat",
        OPEN.provider,
        (OPEN.model,),
        ProviderSettings(
            base_url=BASE,
            wire_api="chat",
            dialect=Dialect(
                merge_users=True,
                user_after_tool=False,
                reasoning_echo="field",
                reasoning_echo_on="all",
                call_ids="nine",
            ),
        ),
    ),
)


def request(history: tuple[HistoryItem, ...], provider: str, model: str) -> SampleRequest:
    return SampleRequest(
        request_id="r",
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        provider=provider,
        model=model,
        instructions="You are a test.",
        history=history,
    )


@pytest.mark.parametrize(("wire", "provider", "models", "said_of_it"), PROVIDERS, ids=("m", "r", "c", "odd"))
@settings(max_examples=60, deadline=None)
@given(data=st.data(), one=threads(), other=threads())
def test_what_was_sent_before_never_changes_what_is_sent(
    wire: WireApi,
    provider: str,
    models: tuple[str, ...],
    said_of_it: ProviderSettings,
    data: st.DataObject,
    one: Thread,
    other: Thread,
) -> None:
    """The history grows by any number of items, whole or cut, in its order or not; or it is another one."""
    memory = Memory()
    history = one.history
    if data.draw(st.booleans()):
        history = tuple(data.draw(st.permutations((*one.history, *other.history[:3], *one.history[-2:]))))
    lengths = sorted(data.draw(st.lists(st.integers(1, len(history)), min_size=1, max_size=6)))
    sent = [history[:length] for length in (*one.requests[:2], *lengths)]
    if data.draw(st.booleans()):
        sent += [other.history[:length] for length in other.requests]
    for part in sent:
        asked = request(part, provider, data.draw(st.sampled_from(models)))
        assert WIRES[wire].body(asked, said_of_it, memory) == WIRES[wire].body(asked, said_of_it)


def turns(count: int) -> tuple[HistoryItem, ...]:
    return tuple(item for number in range(count) for item in (said("user", f"{number}"), _answer(number)))


def _answer(number: int) -> HistoryItem:
    content = [{"type": "output_text", "text": f"so {number}"}]
    raw = msgspec.json.encode({"type": "message", "role": "assistant", "content": content})
    return HistoryItem(kind="message", raw=raw, origin=OPEN)


def test_of_a_longer_thread_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[HistoryItem] = []
    real = Replay._replayed

    def spied(replay: Replay, item: HistoryItem) -> Replayed | None:
        read.append(item)
        return real(replay, item)

    monkeypatch.setattr(Replay, "_replayed", spied)
    for wire, provider, (model, *_), settings_ in PROVIDERS:
        if wire == "responses":
            continue  # its items are not read at all
        memory, history, new = Memory(), turns(50), turns(1)
        WIRES[wire].body(request(history, provider, model), settings_, memory)
        read.clear()
        WIRES[wire].body(request((*history, *new), provider, model), settings_, memory)
        assert read == [*new]


def thought() -> HistoryItem:
    return item("reasoning", OPUS, summary=[], encrypted_content="c2ln")


def server_block(**block: str) -> HistoryItem:
    raw = msgspec.json.encode({"type": BLOCK_TYPE, "block": block})
    return HistoryItem(kind="opaque", raw=raw, origin=OPUS)


OPUS = Origin(provider=CLAUDE.provider, model=CLAUDE.model, wire="messages")
CALL = server_block(type="server_tool_use", id="s1", name="web_search")
RESULT = server_block(type="web_search_tool_result", tool_use_id="s1")


@pytest.mark.parametrize(
    "history",
    [
        (said("user", "hi"), said("developer", "rules"), thought(), said("user", "or rather"), *turns(1)),
        (said("user", "hi"), CALL, said("user", "well?"), *turns(2), RESULT, *turns(2)),
        (said("user", "hi"), CALL, RESULT, *turns(3)),
    ],
    ids=("house before nothing", "a result that comes late", "a result that comes at once"),
)
def test_what_depends_on_what_follows_is_not_settled_before_that_has_come(history: tuple[HistoryItem, ...]) -> None:
    wire, provider, (model, *_), settings_ = PROVIDERS[0]
    memory = Memory()
    for length in range(1, len(history) + 1):
        asked = request(history[:length], provider, model)
        assert WIRES[wire].body(asked, settings_, memory) == WIRES[wire].body(asked, settings_)
