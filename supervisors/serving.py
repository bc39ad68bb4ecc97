"""``callboard serve``: the process around the daemon. Signals, words for people, and the file that says we run."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import trio

from actors.console.home import DAEMON_FILE, Running, home, private
from actors.console.serve_options import ServeOptions
from actors.gateway.address import ListenRefusedError
from actors.settings.layers import Layer, SettingsError, endpoint_layer, override_layer
from messages.settings import Settings
from messages.version import VERSION
from supervisors.daemon import (
    Daemon,
    DaemonOptions,
    HomeInUseError,
    HomeUnusableError,
    RunningDaemon,
)
from supervisors.errors import SupervisionError
from supervisors.names import NameClashError
from supervisors.unseen import blank, seal, secret_variables, secret_words

GC_THRESHOLDS = (50_000, 20, 50)
"""Most of what a daemon makes is not tracked by the collector (messages of scalars) or dies at once; with Python's
default of 700 it would walk all live sessions' objects many times a second."""

SWITCH_SECONDS = 0.0005
"""Between threads. The default of 5 ms would add up to that to each log write while the loop is busy."""

OK, FAILED, IN_USE, INTERRUPTED = 0, 1, 75, 130
"""75 is what sysexits.h calls a temporary failure: another daemon has this home, perhaps one that is just ending."""

IDLE_POLL_SECONDS = 0.05
"""How often a daemon that ends by itself looks whether anybody needs it."""

WARM_SECONDS = 0.3
"""From the start until what models need is imported. Whoever started us asks for a thread first, and would share the
interpreter with the imports; a turn that is in a greater hurry has them done for itself."""

FIRST_CLIENT_SECONDS = 20.0
"""For whoever started it to connect, before it counts as not needed."""


def run(options: ServeOptions) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return trio.run(_serve, daemon_options(options), options)
    except KeyboardInterrupt:
        return INTERRUPTED  # pressed before anybody listened to it, or again while turns were being finished
    except BaseExceptionGroup as group:
        if group.split(KeyboardInterrupt)[1] is None:
            return INTERRUPTED
        words = _words(group)
    except HomeInUseError as error:
        print(f"callboard serve: {error}", file=sys.stderr)
        return IN_USE
    except (SettingsError, ListenRefusedError, HomeUnusableError, NameClashError, OSError) as error:
        words = str(error)
    except SupervisionError as error:
        words = _words(error)
    print(f"callboard serve: {words}", file=sys.stderr)
    return FAILED


def daemon_options(options: ServeOptions) -> DaemonOptions:
    """What the command line and this process's environment come to. Raises SettingsError."""
    layers: list[Layer] = [override_layer(each) for each in options.overrides]
    if options.base_url is not None:
        layers.append(endpoint_layer(options.base_url, options.wire, options.model))
    elif options.model is not None:
        layers.append(Layer(name="command line", where="--model", values={"model": options.model}))
    if options.no_auth:
        layers.append(Layer(name="command line", where="--no-auth", values={"listen": {"auth": False}}))
    return DaemonOptions(
        home=str(home()),
        environment=dict(os.environ),
        layers=tuple(layers),
        profile=options.profile,
        strict=options.strict,
        listen=options.listen,
        plaintext_allowed=options.insecure,
        token_file=None if options.token_file is None else os.path.abspath(options.token_file),
        cwd=os.getcwd(),
    )


async def _serve(options: DaemonOptions, told: ServeOptions) -> int:
    code = OK
    async with Daemon(options) as daemon:
        for warning in daemon.snapshot.warnings:
            print(f"callboard: {warning}", file=sys.stderr)
        settings = daemon.snapshot.settings
        _hide(options, told, settings)
        announcement = _Announcement(daemon, options)
        # Whoever learns that we are here may send a signal: it must find somebody who drains.
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            announcement.make()
            gc.freeze()  # modules and services stay: no collection walks them again
            gc.enable()
            print(
                _greeting(told, daemon.address, settings), file=sys.stderr if told.stand_in else sys.stdout, flush=True
            )
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_warm, daemon)
                    if told.until_idle is not None:
                        nursery.start_soon(_until_idle, daemon, announcement, told.until_idle, nursery.cancel_scope)
                    code = await _until_told(signals)
                    nursery.cancel_scope.cancel()
            finally:
                announcement.withdraw()
    return code


def _hide(options: DaemonOptions, told: ServeOptions, settings: Settings) -> None:
    """From whoever else runs on this machine: the secrets we were started with."""
    blank(secret_variables(options.environment, settings), secret_words(told.overrides, told.base_url))
    if not settings.features.debuggable:
        seal()


async def _warm(daemon: RunningDaemon) -> None:
    await trio.sleep(WARM_SECONDS)
    await daemon.warm()


def _greeting(told: ServeOptions, address: str, settings: Settings) -> str:
    if told.stand_in:
        # Where the original says it: programs that start it on port 0 read the address from here.
        return f"callboard app-server\n  listening on: {address}"
    return f"callboard listens on {address} (model {settings.model} from {settings.model_provider})"


def _certificate(daemon: RunningDaemon, options: DaemonOptions) -> str | None:
    """What clients of this machine have to trust, if we speak TLS."""
    named = daemon.snapshot.settings.listen.tls_certificate
    return os.path.join(options.home, named) if named is not None and daemon.address.startswith("wss:") else None


class _Announcement:
    """The file in the home by which clients find us."""

    def __init__(self, daemon: RunningDaemon, options: DaemonOptions) -> None:
        self._path = Path(options.home) / DAEMON_FILE
        self._running = Running(
            pid=os.getpid(),
            address=daemon.address,
            started_at=time.time(),
            version=VERSION,
            token_required=daemon.token_required,
            token_file=options.token_file,
            certificate=_certificate(daemon, options),
        )

    def make(self) -> None:
        new = self._path.with_suffix(".new")
        with open(new, "wb", opener=private) as file:
            file.write(msgspec.json.encode(self._running))
        new.replace(self._path)

    def withdraw(self) -> None:
        self._path.unlink(missing_ok=True)


async def _until_idle(
    daemon: RunningDaemon, announcement: _Announcement, patience: float, scope: trio.CancelScope
) -> None:
    """End the scope when nobody has needed the daemon for ``patience`` seconds; it begins with its first client."""
    needed_at = trio.current_time() + FIRST_CLIENT_SECONDS
    visits = 0
    while True:
        await trio.sleep(IDLE_POLL_SECONDS)
        now = trio.current_time()
        if daemon.needed() or daemon.visits > visits:
            visits = daemon.visits
            needed_at = now
        elif now - needed_at >= patience:
            # Nobody finds us from here on; whoever did a moment ago is still waited for.
            announcement.withdraw()
            await trio.sleep(IDLE_POLL_SECONDS)
            if daemon.visits == visits:
                scope.cancel()
                return
            announcement.make()


async def _until_told(signals: AsyncIterator[int]) -> int:
    async for number in signals:
        print(f"callboard: {signal.Signals(number).name}, finishing running turns…", file=sys.stderr, flush=True)
        return INTERRUPTED if number == signal.SIGINT else OK
    return OK


def _words(error: BaseException) -> str:
    """The innermost cause: what a person can do something about."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            return str(error) or type(error).__name__
