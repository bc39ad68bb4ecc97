"""What is known of a model: the bundled catalogue, what its provider lists, what the settings say; later over earlier."""

from __future__ import annotations

import msgspec
import pytest

from actors.model_stream import catalogue, listings
from actors.model_stream.core import WIRES
from actors.model_stream.listings import FRESH_SECONDS, Listing, is_fresh, layered, listing
from actors.model_stream.local.listing import ListedModel
from actors.model_stream.providers import known_providers
from actors.model_stream.tool_abilities import tool_abilities
from messages.settings import ModelSettings, ProviderSettings, Settings
from tests.actors.model_stream.household import request

MINE = ProviderSettings(base_url="http://127.0.0.1:9/v1", models={"m": ModelSettings(context_window=3)})
SETTINGS = Settings(
    models={"m": ModelSettings(context_window=2, images=False), "claude-opus-5-5": ModelSettings(max_output_tokens=77)},
    model_providers={"mine": MINE},
)
LISTED = {"mine": {"m": ModelSettings(context_window=1, max_output_tokens=9), "n": ModelSettings(context_window=5)}}


def test_settings_go_over_what_the_provider_lists_and_the_providers_own_table_over_the_general_one() -> None:
    known = known_providers(SETTINGS, "", LISTED)
    assert known["mine"].models["m"] == ModelSettings(context_window=3, max_output_tokens=9, images=False)
    assert known["mine"].models["n"] == ModelSettings(context_window=5)
    assert known["openai"].models["m"] == ModelSettings(context_window=2, images=False)
    assert known_providers(Settings(), "")["openai"].models == {}


def test_the_catalogue_says_what_it_was_told_and_keeps_what_it_knew() -> None:
    said = {"gpt-5.5": ModelSettings(context_window=9), "new": ModelSettings(context_window=7, efforts=("low", "high"))}
    known = catalogue.find("openai", "gpt-5.5", said)
    assert (known.context_window, known.efforts) == (9, catalogue.find("openai", "gpt-5.5").efforts)
    new = catalogue.find("openai", "new", said)
    assert (new.known, new.context_window, new.default_effort) == (True, 7, "low")
    offered = catalogue.offered("openai", "gpt-5.5", said, extra=("new",))
    assert [entry.model for entry in offered][-1] == "new"
    assert [option.reasoning_effort for option in offered[-1].supported_reasoning_efforts] == ["low", "high"]


def test_what_is_said_of_a_model_decides_its_requests_and_its_tools() -> None:
    provider = known_providers(SETTINGS, "")["anthropic"]
    asked = request("hello", provider="anthropic", model="claude-opus-5-5")
    assert msgspec.json.decode(WIRES["messages"].body(asked, provider))["max_tokens"] == 77
    assert "images" in tool_abilities("mine", known_providers(SETTINGS, "")["mine"], "m").lacks


def test_a_list_is_kept_for_a_day_and_a_file_that_is_none_of_ours_is_ignored() -> None:
    models = (ListedModel(id="a", context_window=5, images=True), ListedModel(id="b"))
    found = listing(models, at=100.0)
    assert found == Listing(at=100.0, models={"a": ModelSettings(context_window=5, images=True), "b": ModelSettings()})
    assert listings.decode(listings.encode(found)) == found
    assert listings.decode(b"{}") is None
    moments = (99.0, 100.0, 99.0 + FRESH_SECONDS, 100.0 + FRESH_SECONDS)
    assert [is_fresh(found, now=now) for now in moments] == [False, True, True, False]
    assert not is_fresh(None, now=0.0)


@pytest.mark.parametrize(("provider", "name"), [("openai", "openai.json"), ("../x/y", ".._x_y.json")])
def test_a_providers_file_lies_in_the_folder_whatever_its_name(provider: str, name: str) -> None:
    assert listings.file_of(provider) == name


def test_layers_go_over_each_other_field_by_field() -> None:
    below, above = {"a": ModelSettings(images=True, context_window=1)}, {"a": ModelSettings(context_window=2)}
    assert layered(below, above) == {"a": ModelSettings(images=True, context_window=2)}
