"""Edits do to a file what they would do to plain tables, and leave everything else in it as it was."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.settings.checking import dotted
from actors.settings.edits import EditError, edited_text
from actors.settings.key_paths import KeyPathError, split_key_path
from messages.settings import SettingsEdit


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("model", ("model",)),
        ('projects."/a.b/c".trust_level', ("projects", "/a.b/c", "trust_level")),
        ('projects."a\\"b"', ("projects", 'a"b')),
        ("a.'b.c'", ("a", "b.c")),
        (" a . b ", ("a", "b")),
    ],
)
def test_key_paths_are_split_as_toml_does(path: str, keys: tuple[str, ...]) -> None:
    assert split_key_path(path) == keys


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", 'a."b', "a b", "a/b"])
def test_what_is_no_key_path_is_refused(path: str) -> None:
    with pytest.raises(KeyPathError):
        split_key_path(path)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4).map(tuple))
def test_keys_that_are_joined_are_split_again(keys: tuple[str, ...]) -> None:
    assert split_key_path(dotted(keys)) == keys


@settings(max_examples=40, deadline=None)  # tomlkit is slow to read and write
@given(
    st.lists(
        st.builds(
            SettingsEdit,
            key_path=st.lists(st.sampled_from(["a", "b", '"c.d"']), min_size=1, max_size=3).map(".".join),
            value=st.none() | st.integers(0, 9) | st.text("xy", max_size=3) | st.just({"k": 1}),
            merge=st.booleans(),
        ),
        max_size=5,
    )
)
def test_an_edit_does_the_same_to_the_file_as_to_plain_tables(edits: list[SettingsEdit]) -> None:
    text = "# comment\n[a]\nb = 1\n"

    def outcome(attempt: Callable[[], object]) -> object:
        try:
            return attempt()
        except EditError:
            return "refused"

    in_file = outcome(lambda: telling(tomllib.loads(edited_text(text, edits))))
    assert in_file == outcome(lambda: telling(in_tables(tomllib.loads(text), edits)))


def telling(table: dict[str, Any]) -> dict[str, Any]:
    """Without empty tables: they say nothing, and a file need not hold them."""
    inner = {key: telling(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in inner.items() if value != {}}


def in_tables(table: dict[str, Any], edits: list[SettingsEdit]) -> dict[str, Any]:
    """What the edits mean, on plain dicts."""
    for edit in edits:
        *parents, last = split_key_path(edit.key_path)
        at = table
        for key in parents:
            if edit.value is None and key not in at:
                break
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise EditError
        else:
            if edit.value is None:
                at.pop(last, None)
            elif edit.merge and isinstance(edit.value, dict) and isinstance(at.get(last), dict):
                at[last].update(edit.value)
            else:
                at[last] = dict(edit.value) if isinstance(edit.value, dict) else edit.value
    return table


def test_comments_order_and_layout_stay() -> None:
    text = """\
# mine
model = "a"  # because

[listen]   # the door
max_connections = 5
[model_providers.x]
base_url = 'http://x'
"""
    edits = [
        SettingsEdit(key_path="model", value="b"),
        SettingsEdit(key_path="listen.max_connections", value=None),
        SettingsEdit(key_path='projects."/a.b".trust_level', value="trusted"),
        SettingsEdit(key_path="model_providers.x", value={"env_key": "K", "name": None}, merge=True),
    ]
    assert (
        edited_text(text, edits)
        == """\
# mine
model = "b"  # because

[listen]   # the door
[model_providers.x]
base_url = 'http://x'
env_key = "K"

[projects."/a.b"]
trust_level = "trusted"
"""
    )
