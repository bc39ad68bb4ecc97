from __future__ import annotations

import gc

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.kernel import Context, Down, DownReason, Mailbox, Service, Watch, open_mailbox, watch
from tests.actors.kernel.support import Said, new_mailbox, new_system

NOBODY: Service[Said] = Service("nobody")


def watcher() -> Mailbox[Down]:
    return open_mailbox("watcher", system=new_system(), capacity=1)


def downs(box: Mailbox[Down]) -> list[Down]:
    return [message for message, _ in box.receive_nowait()]


@pytest.mark.parametrize("reason", ["normal", "shutdown", "crash"])
async def test_a_watch_brings_exactly_one_down(reason: DownReason) -> None:
    box, mine = new_mailbox(), watcher()
    watch(box.address, to=mine.address)
    assert downs(mine) == []
    box.close(reason)
    box.close("normal")
    assert downs(mine) == [Down(name="box", incarnation=box.incarnation, reason=reason)]
    assert downs(mine) == []


async def test_watching_the_dead_brings_noproc_at_once() -> None:
    box, mine = new_mailbox(), watcher()
    box.close("crash")
    watch(box.address, to=mine.address)
    assert downs(mine) == [Down(name="box", incarnation=box.incarnation, reason="noproc")]


async def test_watching_what_never_existed_brings_noproc_at_once() -> None:
    system = new_system()
    mine = watcher()
    Context(system, "root").watch(system.directory.address(NOBODY), to=mine.address)
    assert downs(mine) == [Down(name="nobody", incarnation=0, reason="noproc")]


async def test_a_down_is_taken_by_a_full_mailbox() -> None:
    mine = watcher()
    boxes = [new_mailbox() for _ in range(5)]
    for box in boxes:
        watch(box.address, to=mine.address)
    for box in boxes:
        box.close()
    assert len(downs(mine)) == 5


async def test_after_unwatch_no_down_comes_even_if_it_was_already_under_way() -> None:
    box, mine = new_mailbox(), watcher()
    before, after, never = (watch(box.address, to=mine.address) for _ in range(3))
    assert before.cancel()
    box.close()
    assert after.cancel()
    assert downs(mine) == [Down(name="box", incarnation=box.incarnation, reason="normal")]
    assert not never.cancel(), "this one had been received"


async def test_a_watch_is_forgotten_with_its_watcher() -> None:
    box = new_mailbox()
    for _ in range(3):
        mine = watcher()
        watch(box.address, to=mine.address)
        mine.close()
    gc.collect()
    assert not box._watchers
    box.close()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("watch"), st.integers(0, 2), st.integers(0, 2)),
            st.tuples(st.just("close"), st.integers(0, 2), st.just(0)),
            st.tuples(st.just("unwatch"), st.integers(0, 30), st.just(0)),
            st.tuples(st.just("receive"), st.integers(0, 2), st.just(0)),
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_no_sequence_of_watches_ends_and_unwatches_loses_or_doubles_a_down(steps: list[tuple[str, int, int]]) -> None:
    """Every watch brings one Down if and only if its target ended and it was not cancelled in time."""

    async def main() -> None:
        system = new_system()
        targets = [new_mailbox(system=system, name=f"target{number}") for number in range(3)]
        watchers: list[Mailbox[Down]] = [open_mailbox(f"w{number}", system=system) for number in range(3)]
        watches: list[tuple[Watch, int, int]] = []
        cancelled: set[int] = set()
        got: list[tuple[int, str]] = []
        for step, first, second in steps:
            match step:
                case "watch":
                    watches.append((watch(targets[first].address, to=watchers[second].address), first, second))
                case "close":
                    targets[first].close()
                case "unwatch" if watches:
                    index = first % len(watches)
                    if watches[index][0].cancel():
                        cancelled.add(index)
                case "receive":
                    got += [(first, down.name) for down in downs(watchers[first])]
        for target in targets:
            target.close()
        for number, mailbox in enumerate(watchers):
            got += [(number, down.name) for down in downs(mailbox)]
        wanted = [
            (mine, f"target{target}") for index, (_, target, mine) in enumerate(watches) if index not in cancelled
        ]
        assert sorted(got) == sorted(wanted)

    trio.run(main)
