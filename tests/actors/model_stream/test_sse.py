"""The SSE decoder: the standard's rules, the limit, and that cutting a stream anywhere changes nothing."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.sse import SseDecoder, SseEvent, SseEventTooLargeError
from tests.reference import reference_path


def decode(*chunks: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b'data: {"a":1}\n\n', [SseEvent(None, b'{"a":1}')]),
        (b"event: ping\ndata: {}\n\n", [SseEvent("ping", b"{}")]),
        (b"data: {}\nevent: late\n\n", [SseEvent("late", b"{}")]),
        (b"data:no space\n\n", [SseEvent(None, b"no space")]),
        (b"data:  two spaces\n\n", [SseEvent(None, b" two spaces")]),
        (b"data: a\ndata: b\ndata:\n\n", [SseEvent(None, b"a\nb\n")]),
        (b"data\n\n", [SseEvent(None, b"")]),
        (b": OPENROUTER PROCESSING\n\ndata: x\n\n", [SseEvent(None, b"x")]),
        (b": comment\ndata: x\n: comment\n\n", [SseEvent(None, b"x")]),
        (b"event: alone\n\ndata: x\n\n", [SseEvent(None, b"x")]),
        (b"event: \ndata: x\n\n", [SseEvent(None, b"x")]),
        (b"event: a\nevent: b\ndata: x\n\n", [SseEvent("b", b"x")]),
        (b"id: 7\nretry: 10\nunknown: y\ndata: x\n\n", [SseEvent(None, b"x")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [SseEvent(None, b"a"), SseEvent(None, b"b")]),
        (b"\n\n\ndata: a\n\n", [SseEvent(None, b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [SseEvent(None, b"a")]),
        (b"data: \xef\xbb\xbf\n\n", [SseEvent(None, b"\xef\xbb\xbf")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [SseEvent(None, b"a"), SseEvent(None, b"b")]),
        (b"data: a\r\rdata: b\r\r", [SseEvent(None, b"a"), SseEvent(None, b"b")]),
        (b"data: a\r\n\ndata: b\n\r\n", [SseEvent(None, b"a"), SseEvent(None, b"b")]),
        (b"event: \xff\ndata: x\n\n", [SseEvent("\ufffd", b"x")]),
        (b"data: half", []),
        (b"data: half\n", []),
    ],
)
def test_a_stream_is_decoded_as_the_standard_says_however_it_is_cut(stream: bytes, events: list[SseEvent]) -> None:
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream)):
        assert decode(stream[:cut], stream[cut:]) == events


LINES = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"data",
        b"event: e",
        b"event: ",
        b": c",
        b"",
        b"",
        b"id: 1",
        b"\xef\xbb\xbfdata: z",
        b"junk",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.data())
def test_any_cutting_of_any_stream_gives_the_same_events(lines: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(line + end for line, end in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    assert decode(*(stream[a:b] for a, b in itertools.pairwise(edges))) == plainly(stream)


EVENTS = st.sampled_from(
    [
        b"data: x\n\n",
        b"data: data: \n\n",
        b"event: e\ndata: x\n\n",
        b"event: e\ndata: y\ndata: z\n\n",
        b"event: e\ndata: half",
        b"event: e\ndata: x\r\n\r\n",
        b"event: e\ndata: x\ry\n\n",
        b"event: e\ndata: x\n\r",
        b"event: other\ndata: x\n\n",
        b"event: data: e\ndata: x\n\n",
        b"event: \ndata: x\n\n",
        b"event: %b\ndata: x\n\n" % (b"e" * 200),
        b"event: e\ndata: \n\n\n",
        b"event: e\ndata: x\n\ndata: y\n\n",
        b"id: 1\ndata: x\n\n",
        b": data: x\n\n",
        b"\n\n",
    ]
)


@given(st.lists(EVENTS, max_size=12))
def test_events_that_come_one_at_a_time_are_the_same_events(chunks: list[bytes]) -> None:
    assert decode(*chunks) == plainly(b"".join(chunks))


def test_a_lone_event_beyond_the_limit_is_refused_though_it_begins_like_the_last() -> None:
    decoder = SseDecoder(max_event_bytes=20)
    assert decoder.feed(b"data: 1\n\n") == [SseEvent(None, b"1")]
    assert decoder.feed(b"data: 23456789012345\n\n") == [SseEvent(None, b"23456789012345")]
    with pytest.raises(SseEventTooLargeError):
        decoder.feed(b"data: 234567890123456\n\n")


def plainly(stream: bytes) -> list[SseEvent]:
    """The standard's algorithm, word for word, as an oracle."""
    events: list[SseEvent] = []
    name, data, any_data = b"", b"", False
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        if not line:
            if any_data:
                events.append(SseEvent(name.decode() or None, data.removesuffix(b"\n")))
            name, data, any_data = b"", b"", False
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data, any_data = data + value + b"\n", True
        elif field == b"event":
            name = value
    return events


@pytest.mark.reference
def test_every_recorded_stream_cut_at_random_gives_the_events_of_the_whole() -> None:
    rng = random.Random(20261120)
    streams = sorted(reference_path("wire/corpus/dev").rglob("*.sse"))
    assert streams
    for path in streams:
        stream = path.read_bytes()
        whole = decode(stream)
        assert whole == plainly(stream), path.name
        for _ in range(3):
            cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(1, 40)))
            edges = [0, *cuts, len(stream)]
            assert decode(*(stream[a:b] for a, b in itertools.pairwise(edges))) == whole, path.name


def test_the_last_event_counts_at_the_end_even_without_its_blank_line() -> None:
    for tail in (b"", b"\n", b"\r\n"):
        decoder = SseDecoder()
        assert decoder.feed(b"event: done\ndata: {}" + tail) == []
        assert decoder.finish() == [SseEvent("done", b"{}")]
        assert decoder.finish() == []


def test_an_event_beyond_the_limit_is_refused_when_it_comes_in_pieces() -> None:
    decoder = SseDecoder(max_event_bytes=100)
    for _ in range(10):
        decoder.feed(b"data: 0123")
    with pytest.raises(SseEventTooLargeError, match="the limit is 100"):
        decoder.feed(b"4")


def test_an_event_beyond_the_limit_is_refused_when_it_comes_whole() -> None:
    small = b"data: x\n\n" * 100
    assert len(SseDecoder(max_event_bytes=100).feed(small)) == 100
    with pytest.raises(SseEventTooLargeError):
        SseDecoder(max_event_bytes=100).feed(small + b"data: " + b"x" * 101 + b"\n\n")
    with pytest.raises(SseEventTooLargeError):
        SseDecoder(max_event_bytes=100).feed(small + b"data: " + b"x" * 101)


def test_what_is_held_of_an_unfinished_event_is_told() -> None:
    decoder = SseDecoder()
    decoder.feed(b"data: x\n\ndata: ab")
    assert decoder.pending_bytes == 8
