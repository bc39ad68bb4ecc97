"""Reference, schema and structs say the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from actors.settings.reference import ANY_NAME, markdown, schema, tables
from messages.settings.features import Features, stage_of

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "settings.md"
MARK = "<!-- from here on: callboard config reference -->\n\n"


def test_every_setting_is_described() -> None:
    silent = [".".join(setting.path) for table in tables() for setting in table.settings if not setting.text]
    assert silent == [], "put a text below the field, in messages/settings"
    assert [table.path for table in tables() if not table.text] == []


def test_every_feature_has_a_stage() -> None:
    assert {stage_of(name) for name in Features.__struct_fields__} <= {
        "stable",
        "beta",
        "underDevelopment",
        "deprecated",
        "removed",
    }


def test_the_document_is_what_the_structs_say() -> None:
    _, _, told = DOCUMENT.read_text().partition(MARK)
    assert told == markdown() + "\n", "the settings have changed: run `make reference`"


def test_the_reference_goes_down_to_the_last_table() -> None:
    paths = {table.path for table in tables()}
    assert {(), ("listen",), ("model_providers", ANY_NAME), ("model_providers", ANY_NAME, "dialect")} <= paths


def test_the_schema_takes_what_the_daemon_takes_and_refuses_what_it_refuses() -> None:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    validator = jsonschema.Draft202012Validator(made)
    good = tomllib.loads("""
model = "a"
[tui]
theme = "dark"
[model_providers.x]
base_url = "http://x"
[projects."/w"]
trust_level = "trusted"
""")
    validator.validate(good)
    for bad in ('modle = "a"', 'model_verbosity = "shrill"', "listen.max_connections = 'x'", "model_providers.x = {}"):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(tomllib.loads(bad))
    assert made["$defs"]["ListenSettings"]["properties"]["max_connections"]["description"]
