"""What a script gave, with the images of its calls, as each wire carries it: a message of the user's."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.model_stream.anthropic.request import body as messages_body
from actors.model_stream.chat.request import body as chat_body
from actors.model_stream.responses.request import body as responses_body
from actors.session.history import told_of_script
from messages.items import InputImage, InputText
from messages.settings import ProviderSettings
from tests.actors.model_stream.test_request import USER, request

REPORT = '<tool-calls-result status="returned">\n1\n</tool-calls-result>'
PNG = "data:image/png;base64,iVBORw0KGgo="
TOLD = told_of_script((InputText(text=REPORT), InputImage(image_url=PNG)))


def sent(wire: str, model: str = "claude-opus-5") -> Any:
    asked = msgspec.structs.replace(request(USER, TOLD), model=model)
    match wire:
        case "responses":
            return json.loads(responses_body(asked))["input"][-1]["content"]
        case "chat":
            return json.loads(chat_body(asked, provider("chat")))["messages"][-1]["content"]
        case _:
            return json.loads(messages_body(asked, provider("messages")))["messages"][-1]["content"]


def provider(wire: Any) -> ProviderSettings:
    return ProviderSettings(base_url="http://127.0.0.1:9", wire_api=wire)


@pytest.mark.parametrize(
    ("wire", "image"),
    [
        ("responses", {"type": "input_image", "image_url": PNG}),
        ("chat", {"type": "image_url", "image_url": {"url": PNG}}),
        (
            "messages",
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ),
    ],
)
def test_the_image_follows_the_report_on_every_wire(wire: str, image: Any) -> None:
    *before, last = sent(wire)
    assert {key: value for key, value in last.items() if key != "cache_control"} == image
    assert before[-1]["text"] == REPORT
