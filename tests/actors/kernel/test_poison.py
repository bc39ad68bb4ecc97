from __future__ import annotations

import trio

from actors.kernel import Context, Ending, Life, Poison, message_key, run_life
from actors.kernel.children import report_ending
from actors.kernel.poison import REMEMBERED_KEYS
from tests.actors.kernel.support import Put, Spend, new_system


def test_an_input_under_way_in_two_crashes_is_quarantined() -> None:
    poison = Poison()
    for expected in (None, "input-7"):
        assert poison.begin("input-7")
        assert poison.crashed() == expected
    assert not poison.begin("input-7")
    assert poison.quarantined == ("input-7",)


def test_a_crash_between_inputs_accuses_nobody() -> None:
    poison = Poison()
    poison.begin("one")
    poison.end()
    assert poison.crashed() is None
    assert poison.crashed() is None
    assert poison.quarantined == ()


def test_an_input_that_was_handled_after_a_crash_is_cleared() -> None:
    poison = Poison()
    poison.begin("one")
    poison.crashed()
    poison.begin("one")
    poison.end()
    poison.begin("one")
    assert poison.crashed() is None


def test_what_was_quarantined_before_a_restart_stays_so() -> None:
    assert not Poison(("one",)).begin("one")


def test_memory_of_suspects_and_convicts_is_bounded() -> None:
    poison = Poison()
    for number in range(3 * REMEMBERED_KEYS):
        poison.begin(f"suspect-{number}")
        poison.crashed()
        for _ in range(2):
            poison.begin(f"convict-{number}")
            poison.crashed()
    assert len(poison.quarantined) == REMEMBERED_KEYS
    assert len(poison._crashes) <= REMEMBERED_KEYS


def test_a_key_from_content_tells_types_and_values_apart() -> None:
    keys = [message_key(message) for message in (Put(value=1), Put(value=1), Put(value=2), Spend(amount=1))]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


async def test_an_actor_rebuilt_from_its_log_skips_what_crashed_it_twice_and_the_report_names_it() -> None:
    """The log holds three inputs; the second is poison."""
    ctx = Context(new_system(), "session")
    skipped: list[str] = []

    async def replay(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        for key in ("one", "two", "three"):
            if not ctx.poison.begin(key):
                skipped.append(key)
                continue
            if key == "two":
                raise ValueError(key)
            ctx.poison.end()

    endings: list[Ending | None] = []
    for _ in range(3):
        life = Life(ctx)
        await run_life(life, replay)
        report_ending("sessions", life)
        endings.append(life.ending)
    assert endings == [Ending.CRASHED, Ending.CRASHED, Ending.RETURNED]
    assert skipped == ["two"]
    assert [report.reason for report in ctx.system.reports.recent if report.context == "quarantined"] == [
        "message two has crashed it 2 times and will not be handled again"
    ]
