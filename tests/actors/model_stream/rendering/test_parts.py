"""The pieces that every wire's renderer is made of."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.rendering import (
    CallIds,
    IdForm,
    ImageData,
    arguments_object,
    freeform_description,
    freeform_names,
    image_data,
    images_of,
    replay,
    text_of,
    unwrapped,
    without_note,
    wrapped,
)
from messages.items import HistoryItem, InputImage, InputText, OutputText, Refusal
from messages.model import ToolSpec
from tests.actors.model_stream.rendering.histories import CLAUDE, GPT, item, said

NINE = IdForm(accepted=r"[a-zA-Z0-9]{9}", digits=9)
SHORT = IdForm(accepted=r"[a-zA-Z0-9_-]{1,40}", prefix="call_")


@given(ids=st.lists(st.text(max_size=50)), form=st.sampled_from((NINE, SHORT)))
def test_every_call_gets_an_id_of_the_wire_that_no_other_has_and_that_later_calls_do_not_change(
    ids: list[str], form: IdForm
) -> None:
    writer = CallIds(form)
    made = [writer.call(each) for each in ids]
    assert all(re.fullmatch(form.accepted, each) for each in made)
    assert len(set(made)) == len(made)
    again = CallIds(form)
    assert [again.call(each) for each in ids[: len(ids) // 2]] == made[: len(ids) // 2]


def test_an_id_that_fits_is_kept_and_an_answer_goes_to_the_latest_call_of_its_id() -> None:
    writer = CallIds(SHORT)
    assert writer.call("call_1") == "call_1"
    second = writer.call("call_1")
    assert second != "call_1"
    assert writer.answered("call_1") == second
    assert writer.answered("never made") == "never made"


def test_arguments_that_are_an_object_are_kept_to_the_byte() -> None:
    assert arguments_object(' {"a": 1.50} ') == b'{"a": 1.50}'
    assert arguments_object("") == b"{}"
    assert msgspec.json.decode(arguments_object("[1")) == {"invalid_arguments": "[1"}
    assert msgspec.json.decode(arguments_object("\ud800")) == {"invalid_arguments": "?"}


@given(text=st.text())
def test_a_freeform_input_survives_its_wrapper(text: str) -> None:
    assert unwrapped(msgspec.json.encode(wrapped(text)).decode()) == text


def test_a_freeform_tool_tells_its_grammar_in_words() -> None:
    plain = ToolSpec(name="note", description="Write.")
    strict = ToolSpec(name="patch", description="Change.", grammar="start: x")
    assert freeform_names((plain, strict, ToolSpec(name="f", description="", parameters={}))) == {"note", "patch"}
    assert "grammar" not in freeform_description(plain)
    assert freeform_description(strict).endswith("start: x")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,AAAA", ImageData(media_type="image/png", base64="AAAA")),
        ("DATA:IMAGE/JPEG;charset=x;BASE64,AAAA", ImageData(media_type="image/jpeg", base64="AAAA")),
        ("data:image/png,raw", None),
        ("data:text/plain;base64,AAAA", None),
        ("data:image/png;base64,", None),
        ("https://example.org/a.png", None),
    ],
)
def test_an_image_is_found_in_its_url(url: str, expected: ImageData | None) -> None:
    assert image_data(url) == expected


def test_text_and_images_come_apart() -> None:
    image = InputImage(image_url="https://example.org/a.png")
    parts = (InputText(text="a"), image, OutputText(text=""), Refusal(refusal="b"))
    assert (text_of(parts), images_of(parts)) == ("a\nb", (image,))
    assert (text_of("plain"), images_of("plain")) == ("plain", ())


def test_what_only_its_maker_understands_goes_to_nobody_else_and_what_is_unreadable_to_nobody() -> None:
    thinking = item("reasoning", CLAUDE, summary=[], encrypted_content="c2ln")
    block = item("opaque", CLAUDE, block={})
    words = item("message", CLAUDE, role="assistant", content=[{"type": "output_text", "text": "x"}])
    odd = HistoryItem(kind="function_call", raw=b'{"type":"function_call"}', call_id=None, origin=CLAUDE)
    history = (said("user", "hello"), thinking, block, odd, words)
    assert [each.item for each in replay(history, CLAUDE)] == [history[0], thinking, block, words]
    assert [(each.item, each.own) for each in replay(history, GPT)] == [(history[0], False), (words, False)]


def test_a_note_is_taken_out_and_everything_else_stays_to_the_byte() -> None:
    quoting = b'{"type":"message","text":"\\"callboard\\":1"}'
    assert without_note(quoting) is quoting
    assert without_note(b'{"a":1,"callboard":{"failed":true},"b":2}') == b'{"a":1,"b":2}'
