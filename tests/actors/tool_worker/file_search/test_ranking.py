"""Which paths a few letters mean. The order is our own decision; what matches at all is what every such finder does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.file_search.ranking import JUDGED_MAX, MAX_RESULTS, Candidate, rank


def found(query: str, *paths: str) -> list[str]:
    return [match.candidate.path for match in rank(query, [Candidate("/r", path, "file") for path in paths])]


def test_letters_match_in_order_and_nothing_else() -> None:
    assert found("acb", "abc", "a/c/b", "acb") == ["acb", "a/c/b"]
    assert found("zz", "z") == []
    assert found("", "a") == []
    assert found("  ", "a") == []


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("core", "actors/session/core.py", "actors/score/record.py"),
        ("readme", "README.md", "docs/r/e/a/d/m/e.md"),
        ("fm", "gateway/fuzzy_match.py", "gateway/form.py"),
        ("FM", "FileMatch.py", "FoMo/OFM.py"),
        ("test", "test.py", "a/latest.py"),
        ("main", "src/main.c", "domain/main_of_something_longer.c"),
    ],
)
def test_the_start_of_a_name_beats_its_middle_and_a_name_beats_its_folders(query: str, better: str, worse: str) -> None:
    assert found(query, worse, better) == [better, worse]


def test_small_letters_match_both_cases_and_a_capital_only_itself() -> None:
    assert found("readme", "README", "readme") == ["README", "readme"]
    assert found("README", "README", "readme") == ["README"]


def test_all_words_must_match_in_any_order() -> None:
    assert found("core session", "actors/session/core.py", "actors/gateway/core.py") == ["actors/session/core.py"]


def test_the_letters_that_matched_are_told() -> None:
    [match] = rank("gfm", [Candidate("/r", "gateway/fuzzy_match.py", "file")])
    assert match.indices == (0, 8, 14)
    [match] = rank("İx", [Candidate("/r", "aİx", "file")])
    assert match.indices == (1, 2)


def test_there_are_never_more_than_fit_a_picker() -> None:
    assert len(found("a", *(f"a{number}" for number in range(200)))) == MAX_RESULTS


@given(st.text(max_size=6), st.lists(st.text(min_size=1, max_size=12), max_size=8))
def test_whatever_is_found_holds_the_letters_where_it_says(query: str, paths: list[str]) -> None:
    sensitive = any(letter.isupper() for letter in query)
    for match in rank(query, [Candidate("/r", path, "file") for path in paths]):
        path = match.candidate.path
        letters = [path[index] for index in match.indices]
        assert list(match.indices) == sorted(set(match.indices))
        wanted = set("".join(query.split()))
        if sensitive:
            assert set(letters) <= wanted
        else:
            assert all(letter in wanted or letter.lower() in wanted for letter in letters)


def test_where_nothing_holds_the_letters_what_is_nearly_typed_is_found() -> None:
    paths = ("actors/file_search.py", "docs/unrelated.md", "file_seach.txt")
    matches = rank("file_saerch", [Candidate("/r", path, "file") for path in paths])
    assert [match.candidate.path for match in matches] == ["actors/file_search.py", "file_seach.txt"]
    assert matches[0].score >= matches[1].score > 0
    near = matches[0].candidate.path
    assert "".join(near[index] for index in matches[0].indices) in ("file_serch", "file_sarch")
    assert found("file_saerch", *paths, "file_saerch") == ["file_saerch"]
    assert found("fli", "fil.py") == [], "a few letters are like too much"


def test_of_too_many_matches_those_most_like_the_query_are_judged() -> None:
    many = [f"{'x' * 40}{number}/some/other/place.py" for number in range(JUDGED_MAX + 10)]
    assert found("sop", "a/sop.py", *many)[0] == "a/sop.py"
