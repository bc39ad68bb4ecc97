"""A request on the Chat Completions wire: its body, its messages, and what makes servers refuse them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream.chat.dialect import layered
from actors.model_stream.chat.messages import BRIDGE, UNSIGNED, messages_of
from actors.model_stream.chat.request import body, fields
from actors.model_stream.profiles import PROFILES, dialect_of
from actors.model_stream.rendering import UnsupportedError
from messages.items import HistoryItem
from messages.model import ForcedTool, ToolSpec
from messages.settings import Dialect, ProviderSettings
from tests.actors.model_stream.chat.histories import (
    HERE,
    IMAGE,
    ORIGINS,
    called,
    conversations,
    item,
    output,
    request,
    said,
    thought,
    user,
)
from tests.actors.model_stream.rules.chat import offences

PLAIN = layered()
LOOK = ToolSpec(name="look", description="d", parameters={"type": "object", "properties": {}})
PATCH = ToolSpec(name="apply_patch", description="p", grammar="start: x")
FOREIGN = ORIGINS[-1]


def sent(*history: HistoryItem, dialect: Dialect = PLAIN, instructions: str = "") -> list[dict[str, Any]]:
    return messages_of(instructions, history, HERE, dialect)


def openai(model: str) -> Dialect:
    return dialect_of("openai", ProviderSettings(base_url="https://api.openai.com/v1"), model)


def test_the_whole_body_for_a_plain_server() -> None:
    asked = request(
        user(),
        tools=(LOOK, PATCH),
        reasoning_effort="high",
        verbosity="low",
        output_schema={"type": "object"},
        max_output_tokens=9,
        stop_sequences=("END",),
    )
    sent_body = msgspec.json.decode(body(asked, ProviderSettings(base_url="http://127.0.0.1:1/v1", wire_api="chat")))
    description = sent_body["tools"][1]["function"].pop("description")
    assert "`input`" in description
    assert "start: x" in description
    assert sent_body == {
        "model": "m",
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "d", "parameters": LOOK.parameters},
            },
            {
                "type": "function",
                "function": {
                    "name": "apply_patch",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "input": {"type": "string", "description": "The whole input of the tool, as plain text."}
                        },
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                },
            },
        ],
        "parallel_tool_calls": True,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 9,
        "reasoning_effort": "high",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": True},
        },
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_openais_reasoning_models_get_the_developer_role_the_newer_token_field_freeform_tools_and_a_cache_key() -> None:
    asked = request(user(), tools=(PATCH,), max_output_tokens=9, verbosity="low", model="gpt-6-sol")
    body_ = fields(asked, openai("gpt-6-sol"))
    assert body_["messages"][0] == {"role": "developer", "content": "Be brief."}
    assert body_["max_completion_tokens"] == 9
    assert body_["prompt_cache_key"] == "t-1"
    assert body_["verbosity"] == "low"
    assert body_["tools"] == [
        {
            "type": "custom",
            "custom": {
                "name": "apply_patch",
                "description": "p",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
            },
        }
    ]
    older = fields(request(user(), max_output_tokens=9, stop_sequences=("E",)), openai("gpt-4o"))
    assert older["messages"][0]["role"] == "system"
    assert older["stop"] == ["E"]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        (ForcedTool(name="look"), {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_a_choice_of_tool_is_said_unless_it_is_what_servers_do_anyway(choice: Any, wire: Any) -> None:
    assert fields(request(user(), tools=(LOOK,), tool_choice=choice), PLAIN).get("tool_choice") == wire
    assert "tool_choice" not in fields(request(user(), tool_choice=choice), PLAIN)


def test_stop_sequences_that_a_model_cannot_take_fail_the_request_before_it_is_sent() -> None:
    with pytest.raises(UnsupportedError, match="takes no stop sequences"):
        fields(request(user(), model="gpt-6-sol", stop_sequences=("E",)), openai("gpt-6-sol"))
    with pytest.raises(UnsupportedError, match=r"at most 4 .* given 5"):
        fields(request(user(), stop_sequences=tuple("abcde")), PLAIN)


def test_an_answer_is_one_message_with_its_outputs_behind_it_in_call_order_and_images_after_them() -> None:
    picture = [{"type": "input_text", "text": "a plot"}, {"type": "input_image", "image_url": IMAGE, "detail": "high"}]
    assert sent(
        user("go"),
        said("On it."),
        called("a", "look"),
        called("b", "look", '{"at":1}'),
        output("b", "second"),
        output("a", picture),
        user("and?"),
    ) == [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "On it.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "a plot"},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}}]},
        {"role": "user", "content": "and?"},
    ]


def test_a_freeform_call_is_wrapped_where_there_are_none_and_goes_as_it_is_where_there_are() -> None:
    history = (
        user(),
        item("custom_tool_call", HERE, call_id="a", name="apply_patch", input="*** Begin"),
        item("custom_tool_call_output", call_id="a", output="done"),
    )
    wrapped = sent(*history)[1]["tool_calls"]
    native = sent(*history, dialect=openai("gpt-6-sol"))[1]["tool_calls"]
    assert wrapped == [
        {"id": "a", "type": "function", "function": {"name": "apply_patch", "arguments": '{"input":"*** Begin"}'}}
    ]
    assert native == [{"id": "a", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}]


HISTORY = (
    user(),
    thought("Hm.", field="reasoning_content", reasoning_details=[{"type": "reasoning.text", "text": "Hm."}]),
    called("a", "look"),
    output("a"),
    thought("So.", field="reasoning_content"),
    said("Done."),
    user(),
)


@pytest.mark.parametrize(
    ("dialect", "on_call", "on_answer"),
    [
        (PLAIN, {}, {}),
        (layered(Dialect(reasoning_echo="field")), {"reasoning_content": "Hm."}, {}),
        (
            layered(Dialect(reasoning_echo="field", reasoning_echo_on="all")),
            {"reasoning_content": "Hm."},
            {"reasoning_content": "So."},
        ),
        (
            layered(Dialect(reasoning_echo="details", reasoning_echo_on="all")),
            {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
            {},
        ),
        (
            layered(Dialect(reasoning_echo="thinking")),
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
            {},
        ),
    ],
    ids=["none", "field", "field on all", "details", "thinking"],
)
def test_reasoning_goes_back_as_the_server_wants_it(
    dialect: Dialect, on_call: dict[str, Any], on_answer: dict[str, Any]
) -> None:
    messages = sent(*HISTORY, dialect=dialect)
    calls = [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    assert messages[1] == {"role": "assistant", "content": None, "tool_calls": calls, **on_call}
    assert messages[3] == {"role": "assistant", "content": "Done.", **on_answer}


def test_reasoning_and_signatures_of_another_model_are_left_out_and_what_a_server_insists_on_takes_their_place() -> (
    None
):
    foreign = (user(), thought("Hm.", FOREIGN), called("a", "look", origin=FOREIGN), output("a"))
    kimi = sent(*foreign, dialect=layered(Dialect(reasoning_echo="field", reasoning_required=True)))
    assert kimi[1]["reasoning_content"] == " "
    signature = {"google": {"thought_signature": "c2ln"}}
    own = called("b", "look", callboard={"block": {"extra_content": signature}})
    gemini = sent(*foreign, own, output("b"), dialect=layered(Dialect(signed_calls=True)))
    assert [call["extra_content"] for message in gemini for call in message.get("tool_calls", ())] == [
        UNSIGNED,
        signature,
    ]
    assert "extra_content" not in sent(*foreign)[1]["tool_calls"][0]


def test_a_signature_of_the_message_goes_back_on_the_message() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    with_words = sent(user(), said("4", callboard={"block": {"extra_content": signature}}))
    assert with_words[1] == {"role": "assistant", "content": "4", "extra_content": signature}
    call = called("a", "look", callboard={"block": {"message_extra_content": signature}})
    assert sent(user(), call, output("a"))[1]["extra_content"] == signature


def test_ids_and_names_of_elsewhere_are_rewritten_into_the_servers_alphabet_and_calls_still_meet_their_outputs() -> (
    None
):
    history = (user(), called("toolu_01_is/long", "a.b", origin=FOREIGN), output("toolu_01_is/long"))
    for dialect, shape in (
        (layered(Dialect(call_ids="nine")), r"[A-Za-z0-9]{9}"),
        (layered(Dialect(call_ids="openai")), r"[A-Za-z0-9_-]{1,40}"),
    ):
        _, answer, result = sent(*history, dialect=dialect)
        assert re.fullmatch(shape, answer["tool_calls"][0]["id"])
        assert result["tool_call_id"] == answer["tool_calls"][0]["id"]
        assert answer["tool_calls"][0]["function"]["name"] == "a_b"


def test_where_turns_must_be_taken_a_word_stands_between_a_tool_and_a_user_and_users_are_merged() -> None:
    mistral = layered(Dialect(user_after_tool=False, merge_users=True))
    messages = sent(user("a"), user("b"), called("c", "look"), output("c"), user("stop that"), dialect=mistral)
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "a\n\nb"),
        ("assistant", None),
        ("tool", "ok"),
        ("assistant", BRIDGE),
        ("user", "stop that"),
    ]


def test_later_instructions_are_given_in_the_role_the_model_takes_them_in() -> None:
    later = item("message", role="developer", content=[{"type": "input_text", "text": "New rules."}])
    roles = [
        [message["role"] for message in sent(user(), later, dialect=dialect, instructions="Rules.")]
        for dialect in (PLAIN, openai("gpt-4o"), openai("gpt-6-sol"), openai("o1-mini"))
    ]
    assert roles == [
        ["system", "user", "user"],
        ["system", "user", "system"],
        ["developer", "user", "developer"],
        ["user", "user", "user"],
    ]


def test_what_says_nothing_is_not_sent() -> None:
    silent = item("message", HERE, role="assistant", content=[{"type": "output_text", "text": ""}])
    messages = sent(user(), silent, called("a", "look"), output("a", ""), user(""))
    assert [message["content"] for message in messages] == ["hi", None, "(no output)"]


def test_effort_is_asked_for_in_the_servers_own_field() -> None:
    asked = request(user(), reasoning_effort="high")
    assert fields(asked, layered(Dialect(effort_field="reasoning")))["reasoning"] == {"effort": "high"}
    assert fields(asked, layered(Dialect(effort_field="enable_thinking")))["enable_thinking"] is True
    assert fields(asked, layered(Dialect(effort_field="thinking")))["thinking"] == {"type": "enabled"}
    none = fields(asked, layered(Dialect(effort_field="none")))
    assert not {"reasoning", "reasoning_effort", "thinking", "enable_thinking"} & set(none)
    assert "reasoning_effort" not in fields(request(user(), reasoning_effort="none"), PLAIN)


def test_settings_have_the_last_word_on_a_dialect() -> None:
    provider = ProviderSettings(
        base_url="https://gateway.example/v1",
        wire_api="chat",
        profile="deepseek",
        dialect=Dialect(stop_sequences=2, extra_body={"top_k": 1}),
    )
    dialect = dialect_of("mine", provider, "some-model")
    assert (dialect.reasoning_echo, dialect.stop_sequences, dialect.extra_body) == ("field", 2, {"top_k": 1})
    assert fields(request(user()), dialect)["top_k"] == 1


DIALECTS = st.sampled_from(
    [dialect_of(profile.id, ProviderSettings(base_url="x"), model) for profile in PROFILES for model in ("m", "gpt-6")]
)


@settings(max_examples=200)
@given(conversation=conversations(), dialect=DIALECTS)
def test_any_conversation_keeps_the_rules_and_only_ever_grows(
    conversation: tuple[tuple[HistoryItem, ...], ...], dialect: Dialect
) -> None:
    ids = {"any": r"[!-~]{1,64}", "openai": r"[A-Za-z0-9_-]{1,40}", "nine": r"[A-Za-z0-9]{9}"}[dialect.call_ids or ""]
    before: list[dict[str, Any]] = []
    for history in conversation:
        body_ = fields(request(*history, tools=(LOOK, PATCH)), dialect)
        wrong = offences(body_, ids=re.compile(ids), user_after_tool=bool(dialect.user_after_tool))
        if dialect.tool_images:
            wrong = [each for each in wrong if "a tool's message holds image_url" not in each]
        assert wrong == []
        assert b"callboard" not in msgspec.json.encode(body_)
        messages = body_["messages"]
        assert messages[: len(before)] == before
        before = messages
