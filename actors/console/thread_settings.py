"""Settings of the command line for one thread of a daemon that runs already: ``-p NAME`` and ``-c KEY=VALUE``.

They go along with the request that begins the thread, above what the daemon has. What is the daemon's own business
(where it listens, providers, switches) is left out and named.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.settings.core import CLIENTS_MAY_NOT, Sources
from actors.settings.layers import Layer, SettingsError, file_layer, merge, merge_into, override_layer
from messages.settings import Problem

RESUMED = {
    "model": "model",
    "model_provider": "modelProvider",
    "approval_policy": "approvalPolicy",
    "sandbox_mode": "sandbox",
    "developer_instructions": "developerInstructions",
}
"""What can still be changed of a thread that exists, and how thread/resume calls it."""


class ThreadFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of settings."""

    overrides: tuple[str, ...] = ()
    profile: str | None = None
    strict: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """As ``callboard serve`` takes them."""
        return (
            *(word for override in self.overrides for word in ("-c", override)),
            *(("-p", self.profile) if self.profile is not None else ()),
            *(("--strict-config",) if self.strict else ()),
        )

    def config(self, home: Path) -> dict[str, Any]:
        """As `config` of thread/start. Raises SettingsError with what is wrong, by file and line; names that nobody
        knows are told of on standard error, or are errors with ``strict``."""
        layers = [*self._profile(home), *(override_layer(each) for each in self.overrides)]
        for warning in merge(str(home), layers, strict=self.strict).warnings:
            print(f"callboard: {warning}", file=sys.stderr)
        values: dict[str, Any] = {}
        for layer in layers:
            merge_into(values, layer.values)
        daemons = sorted(values.keys() & CLIENTS_MAY_NOT)
        if daemons:
            print(f"callboard: the daemon that runs has its own {', '.join(daemons)}; not used", file=sys.stderr)
        return {key: value for key, value in values.items() if key not in CLIENTS_MAY_NOT}

    def _profile(self, home: Path) -> Sequence[Layer]:
        if self.profile is None:
            return ()
        path = Sources(home=str(home), environment={}).profile_file(self.profile)
        try:
            return (file_layer(path, Path(path).read_bytes(), "profile"),)
        except FileNotFoundError:
            problem = Problem(where=path, text=f"there is no profile {self.profile!r}: this file does not exist")
            raise SettingsError(problem) from None


def for_resumed(config: dict[str, Any]) -> dict[str, Any]:
    """As parameters of thread/resume; what a thread keeps from its beginning is named on standard error."""
    late = sorted(config.keys() - RESUMED.keys())
    if late:
        print(f"callboard: only a new thread takes {', '.join(late)}; not used", file=sys.stderr)
    return {RESUMED[key]: value for key, value in config.items() if key in RESUMED}
