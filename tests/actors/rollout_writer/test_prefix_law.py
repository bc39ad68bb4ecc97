"""For every byte prefix of a rollout, loading it gives a history that every provider accepts (DESIGN §5)."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.projection import Projector, project, split_lines
from actors.rollout_writer.recovery import recover
from actors.rollout_writer.validity import validate_history
from messages.log import Record
from tests.actors.rollout_writer.rollouts import START, conversation, write

randoms = st.integers(0, 2**32 - 1).map(random.Random)


def unentered(thread: LoadedThread) -> int:
    """How many inputs recovery has to enter; all else it writes changes no history."""
    waits = recover(thread, at=START).state == "stays_open"
    return 0 if thread.open_turn is None or waits else len(thread.open_turn.unentered)


def recovered(data: bytes, thread: LoadedThread) -> tuple[bytes, tuple[Record, ...]]:
    """The prefix with its torn tail cut off and what recovery appends."""
    whole = data[: len(data) - thread.counts.torn_bytes]
    records = recover(thread, at=START + 10).records
    return whole + write([records], thread.next_ordinal), records


@given(randoms)
@settings(max_examples=8, deadline=None)
def test_every_byte_prefix_loads_to_a_valid_history(rng: random.Random) -> None:
    data = write(conversation(rng, turns=1))
    last_whole = project(b"")
    for end in range(len(data) + 1):
        thread = project(data[:end])
        assert validate_history(thread.history) == []
        assert thread.counts.unreadable == 0
        if thread.counts.torn_bytes:
            # A line without its newline, even one that is valid JSON, does not exist.
            assert (thread.history, thread.turns) == (last_whole.history, last_whole.turns)
        else:
            last_whole = thread


@given(randoms)
@settings(max_examples=60, deadline=None)
def test_every_line_prefix_of_long_rollouts_is_valid_and_folding_is_incremental(rng: random.Random) -> None:
    data = write(conversation(rng, turns=4))
    projector = Projector()
    done = b""
    for line in split_lines(data)[0]:
        done += line + b"\n"
        projector.feed(line)
        thread = projector.loaded()
        assert validate_history(thread.history) == []
        if rng.random() < 0.1:
            assert project(done) == thread


@given(randoms)
@settings(max_examples=40, deadline=None)
def test_recovering_any_prefix_closes_all_that_was_open_and_changes_no_history(rng: random.Random) -> None:
    data = write(conversation(rng, turns=2))
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for end in rng.sample(ends, min(12, len(ends))):
        before = project(data[:end])
        log, _ = recovered(data[:end], before)
        after = project(log)
        assert validate_history(after.history) == []
        sent = len(before.history)
        assert after.history[:sent] == before.history, "making explicit what was supposed must change no byte"
        assert len(after.history) == sent + unentered(before), "an input that was taken is never lost"
        again = recover(after, at=START + 20)
        assert again.records == (), "recovering twice adds nothing"
        if again.state == "idle":
            assert after.open_turn is None
            assert after.open_items == ()
            assert all(turn.status != "inProgress" for turn in after.turns)
        else:
            assert after.open_turn is not None
            assert after.open_turn.approvals


@given(randoms)
@settings(max_examples=25, deadline=None)
def test_a_crash_during_recovery_comes_to_the_same_end(rng: random.Random) -> None:
    data = write(conversation(rng, turns=1))
    cut = rng.randrange(len(data) + 1)
    before = project(data[:cut])
    log, _ = recovered(data[:cut], before)
    whole = len(data[:cut]) - before.counts.torn_bytes
    for second in range(whole, len(log) + 1, 7):
        interrupted = project(log[:second])
        assert validate_history(interrupted.history) == []
        assert interrupted.history[: len(before.history)] == before.history
        final, _ = recovered(log[:second], interrupted)
        thread = project(final)
        assert thread.history == project(log).history
        assert recover(thread, at=START + 30).records == ()


@given(randoms, st.data())
@settings(max_examples=40, deadline=None)
def test_damage_in_the_middle_costs_only_what_it_hit(rng: random.Random, data: st.DataObject) -> None:
    file = write(conversation(rng, turns=2))
    lines, _ = split_lines(file)
    hit = data.draw(st.integers(0, len(lines) - 1))
    lines[hit] = data.draw(st.sampled_from([b"", b"{", b"\xff\xfe garbage", b'{"type":"response_item"}', b"[" * 5000]))
    thread = project(b"\n".join(lines) + b"\n")
    assert thread.counts.unreadable == 1
    assert validate_history(thread.history) == []
    assert recover(project(b"\n".join(lines) + b"\n"), at=START).records is not None
    assert any("damaged" in warning for warning in thread.warnings)
