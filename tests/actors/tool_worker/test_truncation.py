"""Output within its budget: what is cut, what the model is told about it, and that nothing else changes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.head_tail import Output
from actors.tool_worker.truncation import (
    TruncationPolicy,
    call_policy,
    history_policy,
    truncate,
    truncate_for_history,
    truncate_output,
    truncate_parts,
)
from messages.items import InputImage, InputText

POLICIES = st.builds(TruncationPolicy, mode=st.sampled_from(["tokens", "bytes"]), limit=st.integers(0, 40))
TEXTS = st.text(alphabet="ab\n\u00e9\u20ac\U0001f600", max_size=120)
MARKER = re.compile("\u2026([0-9]+) (tokens|chars) truncated\u2026")


@given(text=TEXTS, policy=POLICIES)
def test_a_cut_text_is_a_prefix_a_marker_and_a_suffix_within_the_budget(text: str, policy: TruncationPolicy) -> None:
    size = len(text.encode())
    shown = truncate(text, policy)
    if size <= policy.budget_bytes:
        assert shown == text
        return
    head, number, unit, tail = MARKER.split(shown)
    assert text.startswith(head)
    assert text.endswith(tail)
    kept = len((head + tail).encode())
    # A character is at most four bytes, so each of the two cuts gives up at most three.
    assert policy.budget_bytes - 6 <= kept <= policy.budget_bytes
    if unit == "tokens":
        assert int(number) == -(-(size - policy.budget_bytes) // 4)
    else:
        assert int(number) == len(text) - len(head) - len(tail)


def test_an_output_over_budget_says_how_much_there_was() -> None:
    policy = TruncationPolicy(mode="tokens", limit=2)
    assert truncate_output("abcd\nefgh\nijkl", policy) == (
        "Warning: truncated output (original token count: 4)\nTotal output lines: 3\n\n"
        "abcd\u20262 tokens truncated\u2026ijkl"
    )
    assert truncate_output("abcdefgh", policy) == "abcdefgh"


def test_where_the_buffer_already_lost_the_middle_the_warning_counts_all_of_it() -> None:
    output = Output(text="aaaa\n... 3 bytes omitted ...\nbbbb", total_bytes=11, omitted_bytes=3)
    assert truncate_output(output, TruncationPolicy(mode="bytes", limit=4)) == (
        "Warning: truncated output (original token count: 3)\n... 3 bytes omitted ...\n\n"
        "aa\u202629 chars truncated\u2026bb"
    )


def test_a_call_gets_what_it_asks_for_up_to_what_the_model_allows() -> None:
    tokens = TruncationPolicy(mode="tokens", limit=10_000)
    assert call_policy(tokens) == tokens
    assert call_policy(tokens, 100) == TruncationPolicy(mode="tokens", limit=100)
    assert call_policy(tokens, 30_000) == tokens
    assert call_policy(tokens, -1) == TruncationPolicy(mode="tokens", limit=0)
    assert call_policy(TruncationPolicy(mode="bytes", limit=1000), 100) == TruncationPolicy(mode="bytes", limit=400)


@given(text=TEXTS, policy=POLICIES)
def test_history_never_cuts_a_budgeted_text_again_at_usual_limits(text: str, policy: TruncationPolicy) -> None:
    usual = TruncationPolicy(mode=policy.mode, limit=policy.limit * 100 + 1000)
    once = truncate_output(text * 50, usual)
    assert truncate_for_history(once, usual) is once
    assert history_policy(TruncationPolicy(mode="tokens", limit=10_000)).limit == 12_000


def test_parts_share_the_budget_in_order() -> None:
    image = InputImage(image_url="data:x")
    parts = (
        InputText(text=""),
        InputText(text="abcd"),
        image,
        InputText(text="0123456789"),
        InputText(text="late"),
        image,
        InputText(text="later"),
    )
    assert truncate_parts(parts, TruncationPolicy(mode="bytes", limit=8)) == (
        InputText(text="abcd"),
        image,
        InputText(text="01\u20266 chars truncated\u202689"),
        image,
        InputText(text="[omitted 2 text items ...]"),
    )
    assert truncate_parts(parts[:3], TruncationPolicy(mode="tokens", limit=1)) == (InputText(text="abcd"), image)


@given(texts=st.lists(TEXTS, max_size=6), policy=POLICIES)
def test_parts_together_stay_within_the_budget(texts: list[str], policy: TruncationPolicy) -> None:
    kept = truncate_parts([InputText(text=text) for text in texts], policy)
    shown = [part.text for part in kept if isinstance(part, InputText)]
    if shown and shown[-1].startswith("[omitted"):
        shown.pop()
    assert sum(len(MARKER.sub("", text).encode()) for text in shown) <= policy.budget_bytes
    if sum(-(-len(text.encode()) // 4) for text in texts) * 4 <= policy.budget_bytes:
        assert shown == [text for text in texts if text]
