"""Networks of every kind, so that one test describes them all."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import trio

from actors.ports import Network
from actors.ports.production import SocketNetwork
from actors.ports.production.round_pass import RoundBase
from actors.ports.production.rounds import TaskPerSocketRounds, best_rounds
from tests.simulation import World


class Failures(list[tuple[object, Exception]]):
    """The hook of the rounds under test."""

    def __call__(self, culprit: object, error: Exception) -> None:
        self.append((culprit, error))


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture(params=["epoll", "task per socket", "simulated"])
async def network(request: pytest.FixtureRequest, failures: Failures) -> AsyncIterator[Network]:
    """A network whose rounds run; what its rounds report is in `failures`."""
    chosen: Network
    if request.param == "simulated":
        chosen = World(11).outside.network
        assert isinstance(chosen.rounds, RoundBase)
        chosen.rounds._on_failure = failures
    elif request.param == "epoll":
        if sys.platform != "linux":
            pytest.skip("no epoll here")
        chosen = SocketNetwork(best_rounds(failures))
    else:
        chosen = SocketNetwork(TaskPerSocketRounds(failures))
    async with trio.open_nursery() as nursery:
        await nursery.start(chosen.rounds.run)
        yield chosen
        nursery.cancel_scope.cancel()
