"""Keys are found where they stand, in whatever way TOML lets one write them."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.settings.places import Path, Place, key_places


def test_every_way_to_write_a_key_has_its_place() -> None:
    text = """\
# a = 0
a = 1
b . "c.d" = "x = 1 # no"   # y = 2
text = '''
[not]
z = 3
'''
list = [ 1, [2], {x = 1, y.z = "}"},
  '''a]''', # ]
]
[t]
k = \"\"\" " "" \\\""" \"\"\"
[[many]]
n = 1
[[many]]
n = 2
[many.below]
d = 2026-01-01T00:00:00Z
"""
    tomllib.loads(text)
    assert key_places(text) == {
        ("a",): Place(2, 1),
        ("b",): Place(3, 1),
        ("b", "c.d"): Place(3, 5),
        ("text",): Place(4, 1),
        ("list",): Place(8, 1),
        ("list", 0): Place(8, 10),
        ("list", 1): Place(8, 13),
        ("list", 1, 0): Place(8, 14),
        ("list", 2): Place(8, 18),
        ("list", 2, "x"): Place(8, 19),
        ("list", 2, "y"): Place(8, 26),
        ("list", 2, "y", "z"): Place(8, 28),
        ("list", 3): Place(9, 3),
        ("t",): Place(11, 2),
        ("t", "k"): Place(12, 1),
        ("many",): Place(13, 3),
        ("many", 0): Place(13, 3),
        ("many", 0, "n"): Place(14, 1),
        ("many", 1): Place(15, 3),
        ("many", 1, "n"): Place(16, 1),
        ("many", 1, "below"): Place(17, 7),
        ("many", 1, "below", "d"): Place(18, 1),
    }


texts = st.text(st.characters(codec="utf-8"), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)  # tomlkit is slow to write
@given(st.dictionaries(texts, values, max_size=4))
def test_every_key_of_any_document_is_found(document: dict[str, Any]) -> None:
    import tomlkit

    text = tomlkit.dumps(document)
    found = key_places(text)
    read = tomllib.loads(text)
    assert set(_paths(read)) <= set(found)
    assert all(1 <= place.line <= text.count("\n") + 1 for place in found.values())


def _paths(value: Any, path: Path = ()) -> list[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, inner in items for each in ((*path, key), *_paths(inner, (*path, key)))]
