"""What of the daemon follows its settings while it runs: an actor that is told of each change and passes it on.

Threads have their settings from the settings actor when they begin; this is for what all of them share. A turn that
runs keeps the providers it began with (`Models.of_turn`), a loaded thread its crew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec
import trio

from actors.credentials import register
from actors.kernel import Context, ServiceAddress
from actors.model_stream.providers import REHEARSAL, ChoiceError, choose
from messages.settings import AwaitSettings, Settings, SettingsRequest, SettingsSnapshot

K = TypeVar("K")
V = TypeVar("V", covariant=True)


class LiveSettings:
    """The settings in force, for those who cannot ask; ``take`` is called with each that comes into force."""

    def __init__(
        self,
        settings: ServiceAddress[SettingsRequest],
        snapshot: SettingsSnapshot,
        take: Callable[[SettingsSnapshot], None],
    ) -> None:
        self._settings = settings
        self._take = take
        self.snapshot = snapshot

    async def run(self, _: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """Pass changes on, until cancelled."""
        task_status.started()
        while True:
            snapshot = await self._settings.ask(AwaitSettings(version=self.snapshot.version), SettingsSnapshot)
            if snapshot.settings != self.snapshot.settings:
                self._take(snapshot)
            self.snapshot = snapshot


class Chooser:
    """Fills in provider and model where the settings leave them open (`actors.settings.layers.CompleteWith`).

    ``since``: when the daemon began, in Unix seconds; what an earlier one had in memory only is no login any more.
    """

    def __init__(self, environment: Mapping[str, str], since: float = 0.0) -> None:
        self._environment = environment
        self._since = since
        self._first: str | None = None
        self.rehearsing: bool | None = None
        """Whether the rehearsed model runs; None: that is being decided."""

    def __call__(self, settings: Settings, logins: bytes | None = None) -> Settings:
        """Raises ChoiceError."""
        choice = choose(settings, self._environment, register.counting(register.decode(logins), self._since))
        self._first = self._first or choice.provider
        if choice.provider == REHEARSAL and self.rehearsing is False:
            if settings.model_provider:
                raise ChoiceError(
                    "the rehearsed model is not running: it comes up only when the daemon starts with it. "
                    "Name another model_provider, or restart the daemon"
                )
            # The last login has ended. Its provider says how to log in again, which an actor in its place would not.
            choice = choose(msgspec.structs.replace(settings, model_provider=self._first), self._environment)
        return msgspec.structs.replace(settings, model_provider=choice.provider, model=choice.model)


class Now(Mapping[K, V]):
    """A mapping that is at each look what it is now."""

    def __init__(self, look: Callable[[], Mapping[K, V]]) -> None:
        self._look = look

    def __getitem__(self, key: K) -> V:
        return self._look()[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())
