"""The tasks that carry a connection's bytes outlive its cancellation, and nothing else."""

from __future__ import annotations

import trio

from actors.gateway.actor import _carry


async def test_a_connection_that_is_cancelled_before_its_carriers_began_does_not_wait_for_them(
    autojump_clock: trio.abc.Clock,
) -> None:
    began = trio.current_time()
    carrying = trio.CancelScope(shield=True, deadline=began + 60)
    with trio.CancelScope() as connection:
        connection.cancel()
        async with trio.open_nursery() as nursery:
            await nursery.start(_carry, carrying)
    assert trio.current_time() == began


async def test_the_carriers_of_a_cancelled_connection_go_on_until_it_is_done(autojump_clock: trio.abc.Clock) -> None:
    carried: list[str] = []

    async def carry_last_words() -> None:
        await trio.sleep(1)
        carried.append("last words")

    carrying = trio.CancelScope(shield=True)
    with trio.CancelScope() as connection:
        async with trio.open_nursery() as nursery:
            carriers: trio.Nursery = await nursery.start(_carry, carrying)
            carriers.start_soon(carry_last_words)
            connection.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            carrying.cancel()
    assert carried == ["last words"]
