"""WebSocket frames: what one side says, the other hears, however it is cut; what breaks the protocol ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_CONTROL_BYTES,
    PING,
    TEXT,
    FrameError,
    FrameReader,
    accept_of,
    frame,
)
from tests.actors.model_stream.hearing import cut

sizes = st.sampled_from((0, 1, 4, 5, 125, 126, 127, 65535, 65536))
payloads = st.one_of(st.binary(max_size=40), sizes.map(lambda size: b"x" * size))
messages = st.lists(
    st.one_of(
        st.tuples(st.sampled_from((TEXT, BINARY)), payloads),
        st.tuples(st.sampled_from((PING, CLOSE)), st.binary(max_size=MAX_CONTROL_BYTES)),
    ),
    max_size=5,
)


@given(said=messages, mask=st.sampled_from((b"", b"\x01\x80\xff\x00")), seed=st.integers(0, 99))
def test_what_is_said_is_heard_wherever_it_is_cut(said: list[tuple[int, bytes]], mask: bytes, seed: int) -> None:
    wire = b"".join(frame(payload, opcode, mask=mask) for opcode, payload in said)
    reader = FrameReader(masked=bool(mask))
    assert [each for piece in cut(wire, seed) for each in reader.feed(piece)] == said
    assert not reader.holds_some


def test_a_message_in_pieces_is_one_message_with_control_frames_between_them() -> None:
    pieces = [
        bytearray(frame(b"he", TEXT)),
        bytearray(frame(b"ll", CONTINUATION)),
        bytearray(frame(b"o", CONTINUATION)),
    ]
    pieces[0][0] &= 0x7F
    pieces[1][0] &= 0x7F
    reader = FrameReader(masked=False)
    wire = bytes(pieces[0]) + frame(b"?", PING) + bytes(pieces[1]) + bytes(pieces[2])
    assert reader.feed(wire) == [(PING, b"?"), (TEXT, b"hello")]


@pytest.mark.parametrize(
    "wire",
    [
        frame(b"x", mask=b"1234"),
        bytes((0xC1, 0)),
        frame(b"x", CONTINUATION),
        frame(b"x" * (MAX_CONTROL_BYTES + 1), PING),
        bytes((0x09, 0)),
        bytes((0x83, 0)),
        bytes((0x81, 127)) + (2**40).to_bytes(8),
        bytes((0x01, 0)) + frame(b"x", TEXT),
    ],
    ids=["masked", "reserved", "nothing to go on", "long ping", "ping in pieces", "unknown", "huge", "within another"],
)
def test_what_breaks_the_protocol_is_an_error(wire: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader(masked=False).feed(wire)


def test_the_key_of_the_standards_own_example() -> None:
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
