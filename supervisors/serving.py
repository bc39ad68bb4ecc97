"""``callboard serve``: the process around the daemon. Signals, words for people, and the file that says we run."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import trio

from actors.console.home import DAEMON_FILE, Running, home
from actors.console.main import ServeOptions
from actors.gateway.address import ListenRefusedError
from actors.model_stream.providers import ChoiceError
from actors.settings.layers import Layer, SettingsError, endpoint_layer, override_layer
from supervisors.daemon import Daemon, DaemonOptions, HomeInUseError, NameClashError
from supervisors.errors import SupervisionError

GC_THRESHOLDS = (50_000, 20, 50)
"""Most of what a daemon makes is not tracked by the collector (messages of scalars) or dies at once; with Python's
default of 700 it would walk all live sessions' objects many times a second."""

SWITCH_SECONDS = 0.0005
"""Between threads. The default of 5 ms would add up to that to each log write while the loop is busy."""

OK, FAILED, INTERRUPTED = 0, 1, 130


def run(options: ServeOptions) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return trio.run(_serve, daemon_options(options))
    except BaseExceptionGroup as group:
        words = _words(group)
    except (SettingsError, ChoiceError, ListenRefusedError, HomeInUseError, NameClashError, OSError) as error:
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
        listen=options.listen,
        plaintext_allowed=options.insecure,
        cwd=os.getcwd(),
    )


async def _serve(options: DaemonOptions) -> int:
    code = OK
    async with Daemon(options) as daemon:
        for warning in daemon.snapshot.warnings:
            print(f"callboard: {warning}", file=sys.stderr)
        settings = daemon.snapshot.settings
        path = Path(options.home) / DAEMON_FILE
        _announce(path, daemon.address, token_required=daemon.token_required)
        print(
            f"callboard listens on {daemon.address} (model {settings.model} from {settings.model_provider})", flush=True
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(daemon.warm)
                code = await _until_told()
                nursery.cancel_scope.cancel()
        finally:
            path.unlink(missing_ok=True)
    return code


def _announce(path: Path, address: str, *, token_required: bool) -> None:
    running = Running(
        pid=os.getpid(),
        address=address,
        started_at=time.time(),
        version=version("callboard"),
        token_required=token_required,
    )
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(running))
    new.replace(path)


async def _until_told() -> int:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
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
