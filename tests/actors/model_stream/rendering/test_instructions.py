"""Instructions that changed in mid-thread: appended where the model takes that, put in place of the old ones elsewhere;
nothing that was sent is edited, and thinking that is bound to other instructions is left out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.model_stream.anthropic import abilities
from actors.model_stream.core import WIRES
from messages.base import ThreadId, TurnId
from messages.items import HistoryItem, Origin
from messages.model import SampleRequest
from messages.settings import ProviderSettings, WireApi
from tests.actors.model_stream.anthropic import hearing
from tests.actors.model_stream.rendering.histories import item, new_instructions, said

OLD, NEW = "Old rules.", "New rules."
USER, AGAIN = said("user", "Hello."), said("user", "And now?")
CHANGE = new_instructions("From here on: " + NEW, before=OLD)


def asked(provider: str, model: str, instructions: str, *history: HistoryItem) -> SampleRequest:
    return SampleRequest(
        request_id="r",
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        provider=provider,
        model=model,
        instructions=instructions,
        history=history,
    )


def bodies(wire: WireApi, provider: str, model: str) -> tuple[Any, Any]:
    """Of the request before the change, and of the one behind it."""
    settings = ProviderSettings(base_url="http://127.0.0.1:9", wire_api=wire, profile=provider)
    made = Origin(provider=provider, model=model, wire=wire)
    answer = item("message", made, role="assistant", content=[{"type": "output_text", "text": "Hi."}])
    first = asked(provider, model, OLD, USER)
    second = asked(provider, model, NEW, USER, answer, AGAIN, CHANGE)
    before, after = (msgspec.json.decode(WIRES[wire].body(each, settings)) for each in (first, second))
    return before, after


def test_the_responses_wire_hears_them_as_the_developer() -> None:
    before, after = bodies("responses", "openai", "gpt-6-sol")
    assert (before["instructions"], after["instructions"]) == (OLD, OLD)
    assert after["input"][: len(before["input"])] == before["input"]
    assert after["input"][-1] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "From here on: " + NEW}],
    }


@pytest.mark.parametrize(
    ("provider", "model", "role"), [("openai", "gpt-6-sol", "developer"), ("openai", "gpt-4o", "system")]
)
def test_the_chat_wire_hears_them_in_the_role_that_the_model_takes(provider: str, model: str, role: str) -> None:
    before, after = bodies("chat", provider, model)
    assert before["messages"][0] == {"role": role, "content": OLD}
    assert after["messages"][:2] == before["messages"]
    assert after["messages"][-1] == {"role": role, "content": "From here on: " + NEW}


def test_a_chat_server_without_later_instructions_gets_the_new_ones_in_place_of_the_old() -> None:
    before, after = bodies("chat", "llamacpp", "some-model")
    assert after["messages"][0] == {"role": "system", "content": NEW}
    assert after["messages"][1 : len(before["messages"])] == before["messages"][1:]
    assert after["messages"][-1] == {"role": "user", "content": "And now?"}


def test_a_claude_model_that_lets_the_house_speak_hears_them_there() -> None:
    before, after = bodies("messages", "anthropic", "claude-opus-5-5")
    assert [block["text"] for block in after["system"]] == [OLD] == [block["text"] for block in before["system"]]
    assert after["messages"][:1] == before["messages"]
    assert after["messages"][-1] == {
        "role": "system",
        "content": [{"type": "text", "text": "From here on: " + NEW}],
    }


def test_any_other_claude_model_gets_the_new_ones_in_place_of_the_old() -> None:
    before, after = bodies("messages", "anthropic", "claude-haiku-4-5")
    assert [block["text"] for block in after["system"]] == [NEW]
    assert after["messages"][:1] == before["messages"]
    assert after["messages"][-1]["content"] == [{"type": "text", "text": "And now?"}]


@pytest.mark.parametrize("speaks", [True, False])
def test_thinking_bound_to_the_old_instructions_stays_with_them_or_is_left_out_whole(
    monkeypatch: pytest.MonkeyPatch, speaks: bool
) -> None:
    """It stays where the old instructions still stand at the beginning, signed as it was; it is never edited."""
    model, provider = "claude-opus-5-5", ProviderSettings(base_url="http://127.0.0.1:9", wire_api="messages")
    bound = msgspec.structs.replace(abilities.FAMILIES[model], system_messages=speaks)
    monkeypatch.setitem(abilities.FAMILIES, model, bound)
    wire = WIRES["messages"]
    first = asked("anthropic", model, OLD, USER)
    origin = Origin(provider="anthropic", model=model, wire="messages", prefix=wire.prefix(first))
    stream = hearing.response(hearing.thinking(0, "Hmm."), hearing.text(1, "Hi."))
    answer = hearing.hear([stream], origin=origin).items
    second = asked("anthropic", model, NEW, USER, *answer, AGAIN, CHANGE)
    said_again = msgspec.json.decode(wire.body(second, provider))["messages"][1]["content"]
    thinking = [block for block in said_again if block["type"] == "thinking"]
    assert thinking == ([{"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"}] if speaks else [])
    assert said_again[-1] == {"type": "text", "text": "Hi."}
